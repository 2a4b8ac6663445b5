"""A calendar as events that we understand: each visit with its own start and end, told by UID and RECURRENCE-ID.

RFC 5545 sections 3.6.1, 3.8.4.4. A time without a zone, or in one that nobody knows, is refused: none is guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import recurring_ical_events
from icalendar import Calendar, Component, vCalAddress
from icalendar.error import BrokenCalendarProperty

from mappers.booking.icalendar.rules import AHEAD, BEHIND, MOST_VISITS, refuse_endless
from mappers.booking.icalendar.screening import screened
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message
from mappers.mapping.result import Loss

_READ = frozenset(
    {"UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "DURATION", "STATUS", "SUMMARY", "DESCRIPTION", "LOCATION"}
    | {"ATTENDEE", "ORGANIZER", "CLASS", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "LAST-MODIFIED", "CREATED"}
)
UNREADABLE = (BrokenCalendarProperty, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError)
"""What the parser raises, some of it only when a property is looked at."""

_NEVER_FETCHED = "What it points to is never fetched."
_NO_PLACE = "FHIR has no element for it that this mapper fills."


@dataclass(frozen=True, slots=True)
class Visit:
    """One event, or one of those that an event repeats as. `instance`: its RECURRENCE-ID in UTC, if it has one."""

    component: Component = field(repr=False)
    uid: str
    instance: str | None
    sequence: int
    stamp: datetime

    @property
    def times(self) -> tuple[datetime, datetime]:
        return _moment(self.component, "DTSTART"), _end(self.component)

    def text(self, name: str) -> str | None:
        found = self.component.get(name)
        return str(found).strip() or None if found is not None and not isinstance(found, list) else None

    def addresses(self, name: str) -> list[vCalAddress]:
        found = self.component.get(name)
        listed = found if isinstance(found, list) else [] if found is None else [found]
        return [one for one in listed if isinstance(one, vCalAddress)]

    @property
    def zone(self) -> str | None:
        found = self.component.get("DTSTART")
        return str(found.params["TZID"]) if found is not None and "TZID" in found.params else None


def calendar(raw: bytes) -> Calendar:
    try:
        found = Calendar.from_ical(screened(raw))
    except UNREADABLE:
        raise UnusableError("The calendar cannot be read.") from None
    if not isinstance(found, Calendar):
        raise UnusableError("This is no calendar.")
    return found


def visits(found: Calendar, message: Message) -> Iterator[Visit]:
    """Those that stand alone as they are; those that repeat, from a month ago to a year ahead."""
    events = list(found.walk("VEVENT"))
    if any("RRULE" in event or "RDATE" in event for event in events):
        yield from _worked_out(found, events, message)
        return
    for event in events:
        yield _visit(event, _instance(event))


def losses(found: Calendar) -> Iterator[Loss]:
    """Names of properties, once each."""
    names = {name.upper(): None for event in found.walk("VEVENT") for name in event}
    for name in names:
        if name not in _READ:
            yield Loss(f"VEVENT.{name}", _NEVER_FETCHED if name in {"ATTACH", "URL", "IMAGE"} else _NO_PLACE)


def _worked_out(found: Calendar, events: list[Component], message: Message) -> Iterator[Visit]:
    for event in events:
        rules = event.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            refuse_endless(rule, _moment(event, "DTSTART"), message.received)
    span = message.received - BEHIND, message.received + AHEAD
    try:
        instances = recurring_ical_events.of(found, skip_bad_series=False).between(*span)
    except (ValueError, TypeError, OverflowError):
        raise UnusableError("What repeats cannot be worked out.") from None
    if len(instances) > MOST_VISITS:
        raise UnusableError("It repeats too often.")
    repeated = {str(event.get("UID")) for event in events if "RRULE" in event or "RDATE" in event}
    for event in instances:
        uid = str(event.get("UID"))
        start = _instance(event) or (_compact(_moment(event, "DTSTART")) if uid in repeated else None)
        yield _visit(event, start)


def _visit(event: Component, instance: str | None) -> Visit:
    uid = str(event.get("UID", "")).strip()
    if not uid:
        raise UnusableError("UID is missing.")
    try:
        sequence = int(event.get("SEQUENCE", 0))
    except (ValueError, TypeError):
        raise UnusableError("SEQUENCE is not a number.") from None
    return Visit(event, uid, instance, sequence, _moment(event, "DTSTAMP"))


def _instance(event: Component) -> str | None:
    return _compact(_moment(event, "RECURRENCE-ID")) if "RECURRENCE-ID" in event else None


def _compact(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _end(event: Component) -> datetime:
    if "DTEND" in event:
        return _moment(event, "DTEND")
    duration = getattr(event.get("DURATION"), "dt", None)
    if duration is None:
        raise UnusableError("The event has neither DTEND nor DURATION.")
    found: datetime = _moment(event, "DTSTART") + duration
    return found


def _moment(event: Component, name: str) -> datetime:
    found = getattr(event.get(name), "dt", None)
    if not isinstance(found, datetime):
        raise UnusableError(f"{name} is missing, or a whole day.")
    if found.tzinfo is None or found.utcoffset() is None:
        raise UnusableError(f"{name} has no zone, or one that is not known; none is guessed.")
    return found
