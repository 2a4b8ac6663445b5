"""Which resources tie a person to a patient, and from when until when each of them does: pure.

Row T74: only people with a legitimate reason, such as the treating practitioners. FHIR R4 CareTeam, Encounter,
Appointment, Task, RelatedPerson.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.extract import values_of
from fhir_server.search.types.moment import BEGINNING, END, Stretch, stretch
from fhir_server.search.types.reference import ReferenceValue
from fhir_server.smart.roles import Tie

TASK_SYSTEM = "urn:aesthetic-fhir-server:task"
GLASS, COMPLAINT = "break-glass-review", "complaint-review"

_DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Source:
    """`patient` and `person` are the search parameters that name them, `period` the path to the element with the times.

    `statuses`: those in which it ties; empty for a type without. `code`: the Task that it has to be. `standing`: it
    ties while it has no end, and no longer than it says; any other ties for some time around its dates. `by_server`:
    only what the server itself wrote, as it wrote it.
    """

    type: str
    patient: str
    person: str
    statuses: frozenset[str]
    period: tuple[str, ...] = ()
    code: str = ""
    standing: bool = False
    by_server: bool = False


_OPEN_TASKS = frozenset({"requested", "received", "accepted", "ready", "in-progress"})
BROKEN_GLASS = Source(
    "Task",
    "patient",
    "requester",
    _OPEN_TASKS | {"completed"},
    ("restriction", "period"),
    GLASS,
    standing=True,
    by_server=True,
)
_TREATMENT = (
    Source("CareTeam", "patient", "participant", frozenset({"active"}), ("period",), standing=True),
    Source(
        "Encounter",
        "patient",
        "practitioner",
        frozenset({"planned", "arrived", "triaged", "in-progress", "onleave", "finished"}),
        ("period",),
    ),
    Source(
        "Appointment",
        "patient",
        "practitioner",
        frozenset({"pending", "booked", "arrived", "fulfilled", "checked-in", "waitlist"}),
    ),
    BROKEN_GLASS,
)
SOURCES: Mapping[Tie, tuple[Source, ...]] = {
    Tie.TREATMENT: _TREATMENT,
    Tie.COMPLAINT: (
        Source("Task", "patient", "owner", _OPEN_TASKS, ("restriction", "period"), COMPLAINT, standing=True),
    ),
    Tie.RELATION: (Source("RelatedPerson", "patient", "_id", frozenset(), ("period",), standing=True),),
}


def holds(source: Source, resource: Json) -> bool:
    """Whether it ties anybody at all as it is now: cancelled, refused or entered in error it never does."""
    if source.type == "RelatedPerson" and resource.get("active") is False:
        return False
    return not source.statuses or resource.get("status") in source.statuses


@dataclass(frozen=True, slots=True)
class Pair:
    """Whom a tie would bind. `base` is the server's own address, by which absolute references are known as its own."""

    person: ResourceKey
    patient: str
    base: str


def span(source: Source, resource: Json, pair: Pair, written: datetime, now: datetime) -> Stretch | None:
    """From when until when it ties the two, in microseconds since 1970. None: it does not.

    `written` stands for dates that it does not have.
    """
    if not _is_coded(source, resource):
        return None
    taking_part = _taking_part(source, resource, microseconds(now))
    named = source.person == "_id" or _names(taking_part, source.person, pair.person, pair.base)
    if not named or not _names(taking_part, source.patient, ResourceKey("Patient", pair.patient), pair.base):
        return None
    period = _at(resource, source.period)
    low, high = _bound(period.get("start")), _bound(period.get("end"))
    if source.standing:
        # A Task without an end would be a right for ever: it ties nobody.
        ends = high.high if high else (BEGINNING if source.code else END)
        return Stretch(low.low if low else BEGINNING, ends)
    moment = microseconds(written)
    begins = low.low if low else moment
    return Stretch(begins, high.high if high else max(begins, moment if low is None else low.high))


def _names(resource: Json, code: str, key: ResourceKey, base: str) -> bool:
    return any(
        isinstance(value, ReferenceValue) and (value.type, value.id) == key and value.base in {"", base}
        for value in values_of(resource, (code,)).get(code, ())
    )


def _taking_part(source: Source, resource: Json, now: int) -> Json:
    """Who declined takes no part, nor who is no member of a standing team any more, or not yet."""
    members = resource.get("participant")
    if not isinstance(members, list):
        return resource
    return {**resource, "participant": [one for one in members if _takes_part(source, one, now)]}


def _takes_part(source: Source, member: Json, now: int) -> bool:
    if member.get("status") == _DECLINED:
        return False
    period = member.get("period", {}) if source.standing else {}
    low, high = _bound(period.get("start")), _bound(period.get("end"))
    return (low is None or low.low <= now) and (high is None or now < high.high)


def _is_coded(source: Source, resource: Json) -> bool:
    codings = resource.get("code", {}).get("coding", []) if source.code else []
    return not source.code or any(
        coding.get("system") == TASK_SYSTEM and coding.get("code") == source.code for coding in codings
    )


def _at(resource: Json, path: tuple[str, ...]) -> Mapping[str, Any]:
    """The Period at the path; an Appointment is its own."""
    found: Any = resource
    for name in path:
        found = found.get(name, {})
    return found if isinstance(found, dict) else {}


def _bound(text: object) -> Stretch | None:
    return stretch(text) if isinstance(text, str) else None
