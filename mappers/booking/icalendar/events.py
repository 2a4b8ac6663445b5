"""An iTIP message (PUBLISH, REQUEST, REPLY, CANCEL), or a calendar without a method -> Appointments, one per visit.

RFC 5546. Later is what has the higher SEQUENCE, or the same and a later DTSTAMP. An event without STATUS counts as
booked: it stands in a calendar.
"""

from icalendar import Calendar, vCalAddress

from mappers.booking.icalendar.components import UNREADABLE, Visit, calendar, losses, visits
from mappers.mapping.appointments import appointment, attending, participant
from mappers.mapping.assembly import mapping, nothing
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import changed, kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import OURS, actor, identifier
from mappers.mapping.instants import sortable
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import contact_points, human_name, patient
from mappers.mapping.result import Loss, Mapping, Order
from mappers.mapping.stamps import WHOLE, stamped

NAME = "icalendar"
UID = "urn:ietf:rfc:5545:uid"
SERIES = f"{OURS}:ical-series"
ADDRESS = "urn:ietf:rfc:5545:cal-address"
ATTENDEE = f"{OURS}:ical-attendee"
_LABEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_WHOLE = frozenset({"", "PUBLISH", "REQUEST"})
_EARLIER_RULE = Loss("VEVENT.RRULE", "Visits that an earlier rule had, and this one has not, stay as they are.")


def read(message: Message, tables: Tables) -> Mapping:
    found = calendar(message.raw)
    try:
        return _read(found, message, tables)
    except UNREADABLE:
        raise UnusableError("A property of an event cannot be read.") from None


def _read(found: Calendar, message: Message, tables: Tables) -> Mapping:
    method = str(found.get("METHOD", "")).upper()
    lost = [*losses(found)]
    if method not in _WHOLE | {"REPLY", "CANCEL"}:
        return nothing(message.sha256, [Loss("METHOD", "Nothing of this method is carried."), *lost])
    entries: list[Json] = []
    unsure: list[Json] = []
    latest = Order(0, "")
    if method in _WHOLE:
        for visit in visits(found, message):
            made, who = _whole(visit, tables)
            entries += made
            unsure += [who] if who else []
            latest = max(latest, _order(visit))
        lost += [_EARLIER_RULE] if any("RRULE" in event for event in found.walk("VEVENT")) else []
    else:
        part = _reply if method == "REPLY" else _cancel
        # A part names what is there already, so a rule is not worked out again.
        for event in found.walk("VEVENT"):
            event.pop("RRULE", None)
            event.pop("RDATE", None)
        for visit in visits(found, message):
            entries.append(part(visit))
            latest = max(latest, _order(visit))
    if not entries:
        return nothing(message.sha256, lost)
    people = list({who["fullUrl"]: who for who in unsure}.values())
    return mapping(NAME, message, f"{method}|{message.sha256}", latest, entries, lost, unsure=people)


def _order(visit: Visit) -> Order:
    return Order(visit.sequence, sortable(visit.stamp))


def _identifiers(visit: Visit) -> list[Json]:
    if visit.instance is None:
        return [identifier(UID, visit.uid)]
    return [
        identifier(UID, f"{visit.uid};RECURRENCE-ID={visit.instance}"),
        identifier(SERIES, visit.uid, "secondary"),
    ]


def _whole(visit: Visit, tables: Tables) -> tuple[list[Json], Json | None]:
    status = translated("ical-status", visit.text("STATUS") or "CONFIRMED")
    if status is None:
        raise UnusableError("STATUS is not a known word.")
    who, others = _people(visit, tables)
    about = appointment(
        _identifiers(visit),
        status,
        visit.times,
        [*others, *_place(visit)],
        zone=visit.zone,
        description=visit.text("SUMMARY"),
        comment=visit.text("DESCRIPTION"),
        meta=_labelled(visit),
    )
    if not about["participant"]:
        raise UnusableError("The event names nobody and no place.")
    return [*([who] if who else []), kept(stamped(about, _order(visit)))], who


def _people(visit: Visit, tables: Tables) -> tuple[Json | None, list[Json]]:
    """One person who is invited is the patient; of several nobody says which is."""
    organizers = {_address(one): _name(one) for one in visit.addresses("ORGANIZER")}
    found = [
        participant(actor("Practitioner", ADDRESS, address, name, tables), attends=True)
        for address, name in organizers.items()
    ]
    invited = [one for one in visit.addresses("ATTENDEE") if _address(one) not in organizers]
    if len(invited) == 1 and str(invited[0].params.get("CUTYPE", "INDIVIDUAL")).upper() == "INDIVIDUAL":
        who = _patient(visit, invited[0])
        return who, [attending(who, _answer(invited[0])), *found]
    for one in invited:
        known = {"identifier": _attendee(visit, one), "display": _name(one) or "Attendee"}
        found.append(participant(known, _answer(one)))
    return None, found


def _patient(visit: Visit, one: vCalAddress) -> Json:
    email = _address(one).removeprefix("mailto:")
    by = _attendee(visit, one)
    return once(patient(by["system"], by["value"], human_name(_name(one)), contact_points(email)))


def _attendee(visit: Visit, one: vCalAddress) -> Json:
    """Known by event and address together: the same address in another event need not be the same person."""
    return identifier(ATTENDEE, f"{visit.uid} {_address(one)}")


def _reply(visit: Visit) -> Json:
    answers = visit.addresses("ATTENDEE")
    if len(answers) != 1:
        raise UnusableError("A reply is of one attendee.")
    by = _attendee(visit, answers[0])
    part: Json = {"resourceType": "Appointment", "identifier": _named(visit)}
    part["participant"] = [{"actor": {"identifier": by}, "status": _answer(answers[0])}]
    return changed(stamped(part, _order(visit), f"participant {by['value']}"))


def _cancel(visit: Visit) -> Json:
    part: Json = {"resourceType": "Appointment", "identifier": _named(visit), "status": "cancelled"}
    return changed(stamped(part, _order(visit), WHOLE))


def _named(visit: Visit) -> list[Json]:
    """The one visit, or all that the event repeats as."""
    both = [identifier(UID, visit.uid), identifier(SERIES, visit.uid)]
    return both if visit.instance is None else _identifiers(visit)[:1]


def _answer(one: vCalAddress) -> str:
    """RFC 5545 section 3.2.12: a word that is not known counts as no answer yet."""
    return translated("ical-partstat", str(one.params.get("PARTSTAT", ""))) or "needs-action"


def _address(one: vCalAddress) -> str:
    return str(one).strip().lower()


def _name(one: vCalAddress) -> str | None:
    return str(one.params["CN"]) if "CN" in one.params else None


def _place(visit: Visit) -> list[Json]:
    place = visit.text("LOCATION")
    return [participant({"type": "Location", "display": place})] if place else []


def _labelled(visit: Visit) -> Json | None:
    code = translated("ical-class", visit.text("CLASS"))
    return {"security": [{"system": _LABEL, "code": code}]} if code else None
