"""Tells a receiver of HL7 v2 what changed of our appointments: SIU, one after the other, each until it is acknowledged.

What was told is remembered when the receiver said AA. A message that may not have arrived goes again with the same
control id; one that is refused is put aside, and the next change is told over what the receiver took.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mappers.fhir_sync.authority import Side
from mappers.hl7v2.parsing import parsed
from mappers.hl7v2.sending import Ends, siu
from mappers.hl7v2.telling import Told, number_of, outstanding, read, told, trigger
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import OURS
from mappers.mapping.json_text import Json
from mappers.runtime.clock import Clock
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import NotNowError, RejectedError
from mappers.runtime.histories import changed
from mappers.runtime.mllp_sender import Sender
from mappers.runtime.records import KINDS, READ_UNTIL, Records
from mappers.runtime.remote import Remote
from mappers.runtime.syncing.putting_aside import PuttingAside

TOLD = f"{OURS}:told"
_ACCEPTED = frozenset({"AA", "CA"})
_LISTED = "Appointment"
_CONTROL_ID = 20
_MOST_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Telling:
    here: Remote
    sender: Sender
    ends: Ends
    aside: PuttingAside
    clock: Clock
    beginning: str

    @property
    def records(self) -> Records:
        return self.aside.records

    async def poll(self) -> Counter[Outcome]:
        """NotNowError where the receiver does not answer: the next round begins with the same appointment."""
        found: Counter[Outcome] = Counter()
        try:
            history = await changed(self.here, _LISTED, await self._cursor())
            for one in history.changed:
                outcome, why = await self._tried(one.reference)
                if outcome is Outcome.DEAD:
                    await self.aside.put(Side.OURS, one.reference, one.version, why, outcome)
                found[outcome] += 1
        finally:
            await self.sender.close()
        await self.here.transact([self.records.cursor(_LISTED, history.until)])
        return found

    async def again(self, *, only_waiting: bool = False) -> Counter[Outcome]:
        """What was refused, as it is now."""
        found: Counter[Outcome] = Counter()
        try:
            for one in [] if only_waiting else await self.aside.open():
                outcome, _ = await self._tried(one.reference)
                if outcome is not Outcome.DEAD:
                    await self.aside.end(one)
                found[outcome] += 1
        finally:
            await self.sender.close()
        return found

    async def _tried(self, reference: str) -> tuple[Outcome, str]:
        try:
            return await self._told(reference), ""
        except (UnusableError, RejectedError) as error:
            return Outcome.DEAD, str(error)

    async def _told(self, reference: str) -> Outcome:
        before = await self._before(reference)
        versions = await self._since(reference, before)
        known, last = outstanding(before, versions, self.ends)
        what = trigger(known, last) if last is not None else None
        if last is None or what is None:
            if known is not None and known != before:
                await self._keep(reference, known, versions[-1])
            return Outcome.NOTHING_NEW
        patient = await self._patient(last)
        if patient is None:
            return Outcome.NOTHING_NEW
        number = known.number if known else number_of(last)
        await self._send(reference, last, patient, what, number)
        await self._keep(reference, told(last, number), last)
        return Outcome.WRITTEN

    async def _send(self, reference: str, appointment: Json, patient: Json, what: str, number: str) -> None:
        version = str(appointment["meta"]["versionId"])
        id = self.records.id("siu", self.records.source, reference, version, what)[:_CONTROL_ID].upper()
        raw = siu(appointment, patient, what, self.ends, self.clock(), id, number)
        answer = parsed(await self.sender.send(raw)).need("MSA")
        if answer.text(2) != id:
            raise NotNowError("The receiver answers to another message.")
        if answer.text(1) not in _ACCEPTED:
            raise UnusableError(f"The receiver answers {_verdict(answer.text(1))} to {what}.")

    async def _since(self, reference: str, before: Told | None) -> Sequence[Json]:
        """Versions that the receiver may not know, oldest first."""
        bundle = await self.here.page(f"{reference}/_history?_count={_MOST_VERSIONS}")
        entries = bundle.get("entry", ())
        versions = [entry["resource"] for entry in entries if "resource" in entry]
        if versions and "resource" not in entries[0]:
            versions = [_deleted(versions[0])]
        known = [place for place, one in enumerate(versions) if before and one["meta"]["versionId"] == before.version]
        return versions[: known[0] if known else None][::-1]

    async def _patient(self, appointment: Json) -> Json | None:
        """None where it is nobody's whom a message could name."""
        patient = _patient_of(appointment)
        return await self.here.read(patient) if patient is not None else None

    async def _before(self, reference: str) -> Told | None:
        found = await self.here.read(f"Basic/{self._id(reference)}")
        texts = [one["valueString"] for one in (found or {}).get("extension", ()) if one["url"] == TOLD]
        return read(texts[0]) if texts else None

    async def _keep(self, reference: str, now: Told, appointment: Json) -> None:
        basic: Json = {
            "resourceType": "Basic",
            "id": self._id(reference),
            "code": {"coding": [{"system": KINDS, "code": "told"}]},
            "extension": [{"url": TOLD, "valueString": now.written()}],
        }
        if (patient := _patient_of(appointment)) is not None:
            basic["subject"] = {"reference": patient}
        await self.here.transact([{"resource": basic, "request": {"method": "PUT", "url": f"Basic/{basic['id']}"}}])

    async def _cursor(self) -> str:
        found = await self.here.read(f"Basic/{self.records.id('cursor', self.records.source, _LISTED)}")
        texts = [one["valueString"] for one in (found or {}).get("extension", ()) if one["url"] == READ_UNTIL]
        return str(texts[0]) if texts else self.beginning

    def _id(self, reference: str) -> str:
        return self.records.id("told", self.records.source, reference)


def _deleted(appointment: Json) -> Json:
    """To a receiver, one that was entered in error."""
    meta = {**appointment["meta"], "versionId": f"{appointment['meta']['versionId']}-deleted"}
    return {**appointment, "status": "entered-in-error", "meta": meta}


def _patient_of(appointment: Json) -> str | None:
    named = [str(one.get("actor", {}).get("reference", "")) for one in appointment["participant"]]
    patients = [one for one in named if one.startswith("Patient/")]
    return patients[0] if len(patients) == 1 else None


def _verdict(said: str | None) -> str:
    return said if said in {"AE", "AR", "CE", "CR"} else "what is no answer"
