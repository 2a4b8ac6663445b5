"""An Appointment as an iTIP message (REQUEST, CANCEL) or as an event of a calendar (PUBLISH).

RFC 5546 section 3.2. Times go out in UTC. The caller says when it is written and how often it was changed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from icalendar import Calendar, Event, vCalAddress, vText

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json

PRODUCT = "-//aesthetic-fhir-server//mappers//EN"
UID = "urn:ietf:rfc:5545:uid"
_STATUS = {"pending": "TENTATIVE", "proposed": "TENTATIVE", "cancelled": "CANCELLED", "noshow": "CONFIRMED"}
_ANSWER = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE", "needs-action": "NEEDS-ACTION"}
_RECURRENCE = ";RECURRENCE-ID="


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with an address, and the answer that they gave."""

    address: str
    name: str | None = None
    answer: str = "needs-action"


@dataclass(frozen=True, slots=True)
class Edition:
    """Which edition of the event this is: RFC 5545 section 3.8.7.4."""

    written: datetime
    sequence: int = 0


def itip(appointment: Json, method: str, edition: Edition, organizer: Party, attendees: tuple[Party, ...]) -> bytes:
    """REQUEST and PUBLISH tell the visit, CANCEL that it will not be."""
    event = Event()
    _known_by(event, appointment)
    event.add("DTSTAMP", edition.written.astimezone(UTC))
    event.add("SEQUENCE", edition.sequence)
    for name, element in (("DTSTART", "start"), ("DTEND", "end")):
        if element in appointment:
            event.add(name, datetime.fromisoformat(appointment[element]).astimezone(UTC))
    cancelled = method == "CANCEL" or appointment["status"] == "entered-in-error"
    event.add("STATUS", "CANCELLED" if cancelled else _STATUS.get(appointment["status"], "CONFIRMED"))
    for name, element in (("SUMMARY", "description"), ("DESCRIPTION", "comment")):
        if element in appointment:
            event.add(name, appointment[element])
    event.add("ORGANIZER", _address(organizer, with_answer=False), encode=False)
    for attendee in attendees:
        event.add("ATTENDEE", _address(attendee, with_answer=True), encode=False)
    return _calendar(method, event)


def _known_by(event: Event, appointment: Json) -> None:
    known = [one["value"] for one in appointment.get("identifier", ()) if one.get("system") == UID]
    uid, _, instance = (known[0] if known else appointment.get("id", "")).partition(_RECURRENCE)
    if not uid:
        raise UnusableError("The appointment has neither an iCalendar UID nor an id.")
    event.add("UID", uid)
    if instance:
        event.add("RECURRENCE-ID", datetime.strptime(instance, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))


def _address(party: Party, *, with_answer: bool) -> vCalAddress:
    found = vCalAddress(party.address)
    if party.name:
        found.params["CN"] = vText(party.name)
    if with_answer:
        found.params["PARTSTAT"] = vText(_ANSWER.get(party.answer, "NEEDS-ACTION"))
    return found


def _calendar(method: str, *events: Event) -> bytes:
    found = Calendar()
    found.add("PRODID", PRODUCT)
    found.add("VERSION", "2.0")
    found.add("METHOD", method)
    for event in events:
        found.add_component(event)
    return bytes(found.to_ical())
