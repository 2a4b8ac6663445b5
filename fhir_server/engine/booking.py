"""Booking: free Slots become Appointments, each Slot for one alone, whoever asks at the same instant.

IHE ITI Scheduling 1.0 (ITI-115 to -117); https://hl7.org/fhir/R4/appointment.html. Who may book, and for whom, is
decided on the Appointment as for any write of it; what becomes of its Slots the server writes beside it, in one commit.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fhir_server.engine.attempts import Attempt
from fhir_server.engine.call import Beside, Call, Interaction
from fhir_server.engine.change import spread
from fhir_server.engine.courtesy import OVERTAKEN
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.fhir.subset import unmarked
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse

HELD_UNTIL = "urn:aesthetic-fhir-server:held-until"
HELD_FOR = "urn:aesthetic-fhir-server:held-for"
"""On a Slot: the Appointment that holds it. Whose hold has run out books nothing that somebody else holds by now."""

HOLD = timedelta(minutes=10)
"""How long somebody has for typing in who comes."""

MOST_PROPOSALS = 200
MOST_AHEAD = 10
"""Appointments that a patient has taken by themselves and not had yet: nobody empties a calendar."""

_OUTSIDERS = frozenset({"Patient", "RelatedPerson"})
_TAKEN = "The time is not free any more."
_CAN_BE_BOOKED = frozenset({"proposed", "pending"})
_CAN_BE_CANCELLED = frozenset({"proposed", "pending", "booked", "waitlist"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: search parameters of Slot, as they are given to a search."""

    pairs: tuple[tuple[str, str], ...]


class Booking:
    def __init__(self, engine: Engine, new_id: NewId) -> None:
        self._engine, self._new_id = engine, new_id

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
        return await self._insisted(call, reference, lambda attempt: self._held(call, attempt, reference))

    async def book(self, call: Call, asked: str | Json, patient: str = "") -> Stored:
        """Of a proposal, of a held Appointment, or of one that the client wrote (`pending`, with its Slots)."""
        what = asked if isinstance(asked, str) else ""
        return await self._insisted(call, what, lambda attempt: self._taken(call, attempt, asked, patient))

    async def cancel(self, call: Call, reference: str) -> Stored:
        """The Appointment is cancelled and its Slots are free again. A second call changes nothing."""
        return await self._insisted(call, reference, lambda attempt: self._cancelled(call, attempt, reference))

    async def _insisted(self, call: Call, what: str, once: Callable[[Attempt], Awaitable[Stored]]) -> Stored:
        """Looked at again while others are faster: then the time is taken, or it was something else that they wrote."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)

            async def afresh() -> Stored:
                call.trace.forget()
                return await once(attempt)

            try:
                return await self._engine.courtesy.insist([what] if what else [], afresh)
            except OVERTAKEN:
                raise ConflictError(_TAKEN) from None

    async def _held(self, call: Call, attempt: Attempt, reference: str) -> Stored:
        slot = await self._slot(call, _id(reference))
        self._require_free(slot, call.instant)
        schedules = await self._schedule(call, slot.resource)
        pending = {**_proposed(slot.resource, schedules), "id": self._new_id(), "status": "pending"}
        if oneself := _oneself(call):
            await self._require_few(call, oneself)
            pending["participant"] = [*pending["participant"], _coming(oneself)]
        freed = _freed(slot.resource)
        held = [
            *freed.get("extension", []),
            {"url": HELD_UNTIL, "valueInstant": instant(call.instant + HOLD)},
            {"url": HELD_FOR, "valueReference": {"reference": f"Appointment/{pending['id']}"}},
        ]
        busy = {**freed, "status": "busy-tentative", "extension": held}
        return await self._written(call, attempt, [(pending, None), (busy, slot)])

    async def _taken(self, call: Call, attempt: Attempt, asked: str | Json, patient: str) -> Stored:
        if isinstance(asked, str):
            existing = await self._read(call, "Appointment", _id(asked))
            if existing is None:
                slot = await self._slot(call, _id(asked))
                self._require_free(slot, call.instant)
                fresh = _proposed(slot.resource, await self._schedule(call, slot.resource))
                return await self._booked(call, attempt, fresh, None, patient, [slot])
        else:
            if _oneself(call):
                raise ForbiddenError("Who books for themselves books a proposal, or what they hold, by its reference.")
            existing = None
        appointment = _content(existing) if existing else dict(asked) if isinstance(asked, dict) else {}
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
        return await self._booked(call, attempt, appointment, existing, patient, slots)

    async def _cancelled(self, call: Call, attempt: Attempt, reference: str) -> Stored:
        found = await self._read(call, "Appointment", _id(reference))
        if found is None:
            raise NotFoundError("There is no such appointment.")
        if found.resource.get("status") == "cancelled":
            return found
        if found.resource.get("status") not in _CAN_BE_CANCELLED:
            raise ConflictError("The appointment has begun or is over; it cannot be cancelled.")
        named = [parse_reference(each.get("reference", "")) for each in found.resource.get("slot", [])]
        slots = [await self._read(call, "Slot", key.id) for key in named if key and key.type == "Slot"]
        its = [slot for slot in slots if slot and await self._is_its(found, slot, call)]
        freed = [(_freed(slot.resource), slot) for slot in its]
        cancelled = {**_content(found), "status": "cancelled"}
        return await self._written(call, attempt, [(cancelled, found), *freed])

    async def _is_its(self, appointment: Stored, slot: Stored, call: Call) -> bool:
        """A hold that ran out may be somebody else's by now, and so may a time that was freed by hand."""
        if appointment.resource.get("status") == "booked":
            asked = [("slot", str(slot.key)), ("status", "booked,arrived,checked-in,fulfilled")]
            page = await self._engine.store.find(parse("Appointment", asked, self._engine.language), None, 2)
            return slot.resource.get("status") == "busy" and all(one.key == appointment.key for one in page.matches)
        return _holder(slot.resource) == str(appointment.key) and not _is_free(slot.resource, call.instant)

    async def _booked(
        self,
        call: Call,
        attempt: Attempt,
        appointment: Json,
        existing: Stored | None,
        patient: str,
        slots: Sequence[Stored],
    ) -> Stored:
        oneself = _oneself(call)
        if existing is None and oneself:
            await self._require_few(call, oneself)
        patient = patient or oneself
        participants = [*appointment.get("participant", [])]
        actors = {each.get("actor", {}).get("reference", "") for each in participants}
        if patient and patient not in actors:
            participants.append(_coming(patient))
        if not any(each.startswith("Patient/") for each in {*actors, patient}):
            raise InvalidRequestError("Say who comes: patient-reference, or a participant who is a Patient.")
        booked = {**appointment, "status": "booked", "participant": participants}
        first = (booked, existing) if existing else ({**booked, "id": self._new_id()}, None)
        taken = [({**_freed(slot.resource), "status": "busy"}, slot) for slot in slots]
        return await self._written(call, attempt, [first, *taken])

    async def _require_few(self, call: Call, patient: str) -> None:
        asked = [("patient", patient), ("status", "pending,booked"), ("date", f"ge{instant(call.instant)}")]
        page = await self._engine.store.find(parse("Appointment", asked, self._engine.language), None, MOST_AHEAD)
        if len(page.matches) >= MOST_AHEAD:
            raise ConflictError(f"There are {MOST_AHEAD} appointments ahead; ask the clinic for more.")

    async def _written(self, call: Call, attempt: Attempt, writes: Sequence[tuple[Json, Stored | None]]) -> Stored:
        """All of it at once, each version as it was looked at; what the first one made."""
        keyed = [(ResourceKey(one["resourceType"], one["id"]), one, previous) for one, previous in writes]
        made = frozenset(key for key, _, previous in keyed if previous is None)
        asking = replace(call, beside=Beside(made=made, resources=[one for one, _ in writes]))
        drafts = self._engine.drafts
        changes = [
            await drafts.prepared(asking, drafts.of(key, resource, previous and (previous.masked_from or previous)))
            for key, resource, previous in keyed
        ]
        stored, *_ = await self._engine.store.commit(spread(changes))
        attempt.committed = True
        return stored

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


def _coming(patient: str) -> Json:
    return {"actor": {"reference": patient}, "status": "accepted"}


def _content(stored: Stored) -> Json:
    """What the caller sees of it; what they do not see is put back before it is written."""
    return unmarked(stored.resource) if stored.masked_from else stored.resource


def _oneself(call: Call) -> str:
    """The patient who books, or for whom a relative does; empty where the clinic books."""
    person = parse_reference(call.principal.fhir_user) if call.principal.fhir_user else None
    if person is None or person.type not in _OUTSIDERS:
        return ""
    return str(person) if person.type == "Patient" else f"Patient/{call.principal.patient}"


def _id(reference: str) -> str:
    key = parse_reference(reference)
    if key is None or key.type not in {"Appointment", "Slot", "Schedule"}:
        raise InvalidRequestError("A reference such as Appointment/7 is needed.")
    return key.id
