"""A Cal.com booking -> Appointment, with a provisional Patient: Cal.com knows a name and an e-mail, no patient.

Envelope `{triggerEvent, createdAt, payload}`. A rescheduled booking has a new uid and names the old one; it stays one
Appointment with both.
"""

from mappers.mapping.appointments import appointment, attending, codes, participant
from mappers.mapping.assembly import mapping, nothing
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import changed, kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import sortable, with_offset
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import contact_points, human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

NAME = "calcom"
UID = "https://cal.com/booking-uid"
ICAL = "https://cal.com/ical-uid"
ATTENDEE = "https://cal.com/booking-attendee"
ORGANIZER = "https://cal.com/organizer-email"
EVENT_TYPE = "https://cal.com/event-type"

_STATUS = {
    "BOOKING_CREATED": None,
    "BOOKING_RESCHEDULED": None,
    "BOOKING_REQUESTED": "pending",
    "BOOKING_CANCELLED": "cancelled",
    "BOOKING_REJECTED": "rejected",
}
"""Trigger -> what it says of the status whatever the payload says; None: as the payload says."""

_FIRST = frozenset({"BOOKING_CREATED", "BOOKING_REQUESTED"})

REASONS = {
    "videoCallUrl": "It lets whoever has it into the meeting.",
    "price": "Payment is not carried.",
    "currency": "Payment is not carried.",
}


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    trigger, created = source.need("triggerEvent"), source.need("createdAt")
    made = with_offset(created, "createdAt")
    if trigger == "BOOKING_NO_SHOW_UPDATED":
        return _no_show(message, source, made.isoformat())
    if trigger not in _STATUS:
        return nothing(f"{trigger}|{created}|{message.sha256}", source.losses(REASONS))
    payload = source.at("payload")
    uid = payload.need("uid")
    old = payload.text("rescheduleUid")
    who = _patient(payload, old or uid)
    entries = [*([who] if who else []), kept(_appointment(payload, trigger, uid, old, who, tables))]
    mapped = mapping(
        NAME,
        message,
        f"{uid}|{trigger}|{created}",
        Order(0, sortable(made)),
        entries,
        source.losses(REASONS),
        unsure=[who] if who else [],
    )
    return mapped if trigger in _FIRST else mapped.continuing()


def _appointment(payload: Source, trigger: str, uid: str, old: str | None, who: Json | None, tables: Tables) -> Json:
    said = payload.text("status") or "ACCEPTED"
    status = translated("calcom-status", _STATUS[trigger] or said) or said
    organizer, kind = payload.at("organizer"), payload.text("eventTypeId")
    declined = trigger == "BOOKING_REJECTED"
    provider = _organizer(organizer, tables)
    return appointment(
        _identifiers(payload, uid, old),
        status,
        (with_offset(payload.need("startTime"), "startTime"), with_offset(payload.need("endTime"), "endTime")),
        [
            *([attending(who)] if who else []),
            *([participant(provider, "declined" if declined else "accepted", attends=True)] if provider else []),
        ],
        zone=organizer.text("timeZone"),
        serviceType=codes(payload.text("type"), EVENT_TYPE, kind),
        description=payload.text("eventTitle") or payload.text("title"),
        comment=payload.text("additionalNotes"),
        cancelationReason=_reason(payload),
    )


def _identifiers(payload: Source, uid: str, old: str | None) -> list[Json]:
    ical = payload.text("iCalUID")
    return [
        identifier(UID, uid),
        *([identifier(UID, old, "old")] if old and old != uid else []),
        *([identifier(ICAL, ical, "secondary")] if ical else []),
    ]


def _patient(payload: Source, first_uid: str) -> Json | None:
    """The attendee who booked. With several, the one whom the form names; who else comes is no patient for certain."""
    attendees = payload.each("attendees")
    booker = payload.at("responses").at("email").text("value")
    named = [one for one in attendees if booker and one.text("email") == booker]
    chosen = attendees[0] if len(attendees) == 1 else named[0] if len(named) == 1 else None
    if chosen is None:
        return None
    telecom = contact_points(chosen.text("email"), chosen.text("phoneNumber") or payload.text("smsReminderNumber"))
    return once(patient(ATTENDEE, first_uid, human_name(chosen.text("name")), telecom))


def _organizer(organizer: Source, tables: Tables) -> Json | None:
    email = organizer.text("email")
    return actor("Practitioner", ORGANIZER, email, organizer.text("name"), tables) if email else None


def _reason(payload: Source) -> Json | None:
    text = payload.text("cancellationReason") or payload.text("rejectionReason")
    return {"text": text} if text else None


def _no_show(message: Message, source: Source, created: str) -> Mapping:
    """It has no times: the Appointment must be there. Several attendees of whom some came are no no-show."""
    payload = source.at("payload")
    uid = payload.text("bookingUid") or payload.need("uid")
    absent = [one.flag("noShow") for one in payload.each("attendees")]
    if not absent:
        raise UnusableError("payload.attendees is missing.")
    status = "noshow" if all(absent) else "booked"
    part: Json = {"resourceType": "Appointment", "identifier": [identifier(UID, uid)], "status": status}
    order = Order(0, sortable(with_offset(created, "createdAt")))
    return mapping(
        NAME, message, f"{uid}|no-show|{created}", order, [changed(part)], source.losses(REASONS), aspect="status"
    )
