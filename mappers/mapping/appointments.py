"""An Appointment that keeps its invariants, whatever the source left out.

https://hl7.org/fhir/R4/appointment.html: app-2 (start and end both or neither), app-3 (only proposed, cancelled and
waitlist without), app-4 (a reason to cancel only with cancelled and noshow).
"""

from collections.abc import Sequence
from datetime import datetime

from mappers.mapping.faults import UnusableError
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json

ATTENDER = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "ATND"}],
}
STATUSES = frozenset(
    {"proposed", "pending", "booked", "arrived", "checked-in", "fulfilled", "cancelled", "noshow", "waitlist"}
    | {"entered-in-error"}
)
_WITHOUT_TIMES = frozenset({"proposed", "cancelled", "waitlist"})
_ENDED = frozenset({"cancelled", "noshow"})
_TIME_ZONE = "http://hl7.org/fhir/StructureDefinition/tz-code"


def appointment(
    identifiers: Sequence[Json],
    status: str,
    times: tuple[datetime, datetime] | None,
    participants: Sequence[Json],
    **more: object,
) -> Json:
    """`more`: elements of Appointment; None and what is empty is left out. `zone`: where it was booked."""
    if status not in STATUSES:
        raise UnusableError("The status has no equivalent here.")
    if times is None and status not in _WITHOUT_TIMES:
        raise UnusableError("An appointment of this status needs its start and end.")
    zone = more.pop("zone", None)
    found: Json = {"resourceType": "Appointment", "identifier": list(identifiers), "status": status}
    if times is not None:
        found |= _times(*times)
        if zone:
            found["_start"] = {"extension": [{"url": _TIME_ZONE, "valueCode": zone}]}
    if status not in _ENDED:
        more.pop("cancelationReason", None)
    found |= {element: given for element, given in more.items() if given not in (None, [], {}, "")}
    return {**found, "participant": list(participants)}


def participant(actor: Json, status: str = "accepted", *, attends: bool = False) -> Json:
    return {"type": [ATTENDER], "actor": actor, "status": status} if attends else {"actor": actor, "status": status}


def attending(entry: Json, status: str = "accepted") -> Json:
    """The patient of this entry; the identifier tells who was meant, should somebody point to another Patient."""
    return participant({"reference": entry["fullUrl"], "identifier": entry["resource"]["identifier"][0]}, status)


def codes(text: str | None, system: str | None = None, code: str | None = None) -> list[Json]:
    """One CodeableConcept in a list, of what the source calls it."""
    found: Json = {"text": text} if text else {}
    if system and code:
        found["coding"] = [{"system": system, "code": code, **({"display": text} if text else {})}]
    return [found] if found else []


def _times(start: datetime, end: datetime) -> Json:
    if end <= start:
        raise UnusableError("The end is not after the start.")
    return {"start": written(start), "end": written(end)}
