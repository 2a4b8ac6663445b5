"""Booking: free Slots become Appointments, each Slot for one alone, whoever asks at the same instant.

IHE ITI Scheduling 1.0 (ITI-115 to -117); https://hl7.org/fhir/R4/appointment.html. Every write is a transaction of the
caller's own, so scopes and roles decide as they do for the same Bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fhir_server.engine.bundles import Bundles
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ConflictError, InvalidRequestError, NotFoundError, VersionConflictError
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse

HELD_UNTIL = "urn:aesthetic-fhir-server:held-until"
HELD_FOR = "urn:aesthetic-fhir-server:held-for"
"""On a Slot: the Appointment that holds it. Whose hold has run out books nothing that somebody else holds by now."""

HOLD = timedelta(minutes=10)
"""How long somebody has for typing in who comes."""

MOST_PROPOSALS = 200
_TAKEN = "The time is not free any more."
_CAN_BE_BOOKED = frozenset({"proposed", "pending"})
_CAN_BE_CANCELLED = frozenset({"proposed", "pending", "booked", "waitlist"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: search parameters of Slot, as they are given to a search."""

    pairs: tuple[tuple[str, str], ...]


class Booking:
    def __init__(self, engine: Engine, bundles: Bundles, new_id: NewId) -> None:
        self._engine, self._bundles, self._new_id = engine, bundles, new_id

    async def find(self, call: Call, wanted: Wanted) -> list[Json]:
        """Proposed Appointments, one for each free Slot, in the order of their start. None of them is stored.

        The id of a proposal is that of its Slot.
        """
        pairs = [*wanted.pairs, ("status", "free,busy-tentative"), ("_sort", "start"), ("_include", "Slot:schedule")]
        query = parse("Slot", [*pairs, ("_count", str(MOST_PROPOSALS))], self._engine.language)
        searching = replace(call, interaction=Interaction.SEARCH_TYPE, type="Slot", operation=None)
        page = await self._engine.search(searching, query)
        schedules = {str(one.key): one.resource for one in page.included}
        slots = [one.resource for one in page.matches]
        return [_proposed(slot, schedules) for slot in slots if _is_free(slot, call.instant)]

    async def hold(self, call: Call, reference: str) -> Stored:
        """The proposal becomes a pending Appointment, its Slot is nobody else's until the hold ends."""
        slot = await self._slot(call, _id(reference))
        self._require_free(slot, call.instant)
        schedules = await self._schedule(call, slot.resource)
        pending = {**_proposed(slot.resource, schedules), "id": self._new_id(), "status": "pending"}
        freed = _freed(slot.resource)
        held = [
            *freed.get("extension", []),
            {"url": HELD_UNTIL, "valueInstant": instant(call.instant + HOLD)},
            {"url": HELD_FOR, "valueReference": {"reference": f"Appointment/{pending['id']}"}},
        ]
        busy = {**freed, "status": "busy-tentative", "extension": held}
        return await self._written(call, [(pending, None), (busy, slot.version)])

    async def book(self, call: Call, asked: str | Json, patient: str = "") -> Stored:
        """Of a proposal, of a held Appointment, or of one that the client wrote (`pending`, with its Slots)."""
        if isinstance(asked, str):
            existing = await self._read(call, "Appointment", _id(asked))
            if existing is None:
                slot = await self._slot(call, _id(asked))
                self._require_free(slot, call.instant)
                fresh = _proposed(slot.resource, await self._schedule(call, slot.resource))
                return await self._booked(call, fresh, None, patient, [slot])
        else:
            existing = None
        appointment = existing.resource if existing else dict(asked) if isinstance(asked, dict) else {}
        if appointment.get("status") not in _CAN_BE_BOOKED:
            raise ConflictError("Only a proposed or pending appointment can be booked.")
        slots = [await self._slot(call, _id(each.get("reference", ""))) for each in appointment.get("slot", [])]
        if not slots:
            raise InvalidRequestError("The appointment names no Slot.", expression="Appointment.slot")
        if existing is None:
            for slot in slots:
                self._require_free(slot, call.instant)
        elif not all(_holder(slot.resource) == str(existing.key) for slot in slots):
            raise ConflictError(_TAKEN)
        return await self._booked(call, appointment, existing, patient, slots)

    async def cancel(self, call: Call, reference: str) -> Stored:
        """The Appointment is cancelled and its Slots are free again. A second call changes nothing."""
        found = await self._read(call, "Appointment", _id(reference))
        if found is None:
            raise NotFoundError("There is no such appointment.")
        if found.resource.get("status") == "cancelled":
            return found
        if found.resource.get("status") not in _CAN_BE_CANCELLED:
            raise ConflictError("The appointment has begun or is over; it cannot be cancelled.")
        slots = [await self._read(call, "Slot", _id(each["reference"])) for each in found.resource.get("slot", [])]
        freed = [(_freed(slot.resource), slot.version) for slot in slots if slot and self._is_its(found, slot, call)]
        cancelled = {**found.resource, "status": "cancelled"}
        return await self._written(call, [(cancelled, found.version), *freed])

    def _is_its(self, appointment: Stored, slot: Stored, call: Call) -> bool:
        """A hold that ran out may be somebody else's by now."""
        if appointment.resource.get("status") == "booked":
            return bool(slot.resource.get("status") == "busy")
        return _holder(slot.resource) == str(appointment.key) and not _is_free(slot.resource, call.instant)

    async def _booked(
        self, call: Call, appointment: Json, existing: Stored | None, patient: str, slots: Sequence[Stored]
    ) -> Stored:
        participants = [*appointment.get("participant", [])]
        actors = {each.get("actor", {}).get("reference", "") for each in participants}
        if patient and patient not in actors:
            participants.append({"actor": {"reference": patient}, "status": "accepted"})
        if not any(each.startswith("Patient/") for each in {*actors, patient}):
            raise InvalidRequestError("Say who comes: patient-reference, or a participant who is a Patient.")
        booked = {**appointment, "status": "booked", "participant": participants}
        first = (booked, existing.version) if existing else ({**booked, "id": self._new_id()}, None)
        taken = [({**_freed(slot.resource), "status": "busy"}, slot.version) for slot in slots]
        return await self._written(call, [first, *taken])

    async def _written(self, call: Call, writes: Sequence[tuple[Json, int | None]]) -> Stored:
        """All of it at once, each version as it was looked at; what the first one made."""
        entries = [_entry(*write) for write in writes]
        bundle: Json = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        asking = replace(call, interaction=Interaction.TRANSACTION, type=None, id=None, operation=None)
        try:
            [answer, *_] = await self._bundles.process(asking, bundle)
        except VersionConflictError:
            raise ConflictError(_TAKEN) from None
        assert answer.stored is not None
        return answer.stored

    async def _slot(self, call: Call, id: str) -> Stored:
        found = await self._read(call, "Slot", id)
        if found is None:
            raise NotFoundError("There is no such proposal or Slot.")
        return found

    def _require_free(self, slot: Stored, now: datetime) -> None:
        if not _is_free(slot.resource, now):
            raise ConflictError(_TAKEN)

    async def _schedule(self, call: Call, slot: Json) -> Mapping[str, Json]:
        reference = slot.get("schedule", {}).get("reference", "")
        found = await self._read(call, "Schedule", _id(reference)) if parse_reference(reference) else None
        return {str(found.key): found.resource} if found else {}

    async def _read(self, call: Call, type: str, id: str) -> Stored | None:
        """As the caller may read it; recorded like a read."""
        reading = replace(call, interaction=Interaction.READ, type=type, id=id, operation=None)
        stored = await self._engine.store.read(ResourceKey(type, id))
        if stored is None or stored.deleted:
            await self._engine.steps.admit(reading)
            return None
        return await self._engine.read(reading)


def _is_free(slot: Json, now: datetime) -> bool:
    """Free, or held by somebody whose time has run out."""
    if slot.get("status") == "free":
        return True
    until = [each.get("valueInstant", "") for each in slot.get("extension", []) if each.get("url") == HELD_UNTIL]
    return slot.get("status") == "busy-tentative" and bool(until) and until[0] <= instant(now)


def _freed(slot: Json) -> Json:
    kept = [each for each in slot.get("extension", []) if each.get("url") not in {HELD_UNTIL, HELD_FOR}]
    freed = {name: value for name, value in slot.items() if name != "extension"}
    return {**freed, "status": "free", **({"extension": kept} if kept else {})}


def _holder(slot: Json) -> str:
    held = [each for each in slot.get("extension", []) if each.get("url") == HELD_FOR]
    return str(held[0].get("valueReference", {}).get("reference", "")) if held else ""


def _proposed(slot: Json, schedules: Mapping[str, Json]) -> Json:
    actors = schedules.get(slot["schedule"].get("reference", ""), {}).get("actor", [])
    participants = [{"actor": actor, "status": "needs-action"} for actor in actors]
    shared: Json = {name: slot[name] for name in ("serviceCategory", "serviceType", "specialty") if name in slot}
    return {
        "resourceType": "Appointment",
        "id": slot["id"],
        "status": "proposed",
        **shared,
        **({"appointmentType": slot["appointmentType"]} if "appointmentType" in slot else {}),
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": participants or [{"required": "required", "status": "needs-action", "type": [_ATTENDER]}],
    }


_ATTENDER: Json = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "ATND"}]}


def _entry(resource: Json, version: int | None) -> Json:
    """A new resource under its own id, or the next version of this one."""
    condition = {"ifNoneMatch": "*"} if version is None else {"ifMatch": f'W/"{version}"'}
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, **condition}}


def _id(reference: str) -> str:
    key = parse_reference(reference)
    if key is None or key.type not in {"Appointment", "Slot", "Schedule"}:
        raise InvalidRequestError("A reference such as Appointment/7 is needed.")
    return key.id
