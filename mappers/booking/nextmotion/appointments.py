"""A NextMotion CalendarAppointment (API v4), as fetched -> Appointment."""

from datetime import datetime

from mappers.booking.nextmotion.patients import NAME, person
from mappers.mapping.appointments import appointment, attending, codes, participant
from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import concept_map, translated
from mappers.mapping.entries import kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import later, local, sortable, with_offset
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

APPOINTMENT = "https://api.nextmotion.net/open_api/v4/calendar_appointments"
_ACTORS = (
    ("doctors", "Practitioner", "https://api.nextmotion.net/open_api/v4/doctors", "prefixed_name"),
    ("appointment_rooms", "Location", "https://api.nextmotion.net/open_api/v4/appointment_rooms", "name"),
)
DEVICE = "https://api.nextmotion.net/open_api/v4/devices"
VISIT_TYPE = "https://api.nextmotion.net/open_api/v4/visit_types"
_LAST_MINUTE = {"text": "Cancelled at the last minute"}


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    id, event, whose = source.need("id"), source.at("calendar_event"), source.at("patient")
    who = once(person(whose)) if "id" in whose else None
    statuses = source.words("statuses") or source.words("status")
    kind = source.at("visit_type")
    about = appointment(
        [identifier(APPOINTMENT, id)],
        _status(statuses),
        _times(event, tables),
        [*([attending(who)] if who else []), *_others(source, event, tables)],
        serviceType=codes(kind.text("subject"), VISIT_TYPE, kind.text("id")),
        description=event.text("title") or source.text("subject"),
        comment=event.text("notes"),
        cancelationReason=_LAST_MINUTE if "canceled_last_minute" in statuses else None,
    )
    if not about["participant"]:
        raise UnusableError("It has neither a patient nor anybody else.")
    order = Order(
        0, sortable(with_offset(source.text("modified_time") or source.need("created_time"), "modified_time"))
    )
    entries = [*([who] if who else []), kept(about)]
    return mapping(
        NAME,
        message,
        f"{APPOINTMENT}|{id}|{order.instant}",
        order,
        entries,
        source.losses(),
        unsure=[who] if who else [],
    )


def _status(statuses: tuple[str, ...]) -> str:
    """The first of the table's words that it bears; a word that nobody described is not passed over."""
    words = [element["code"] for element in concept_map("nextmotion-status")["group"][0]["element"]]
    if not statuses or set(statuses) - set(words):
        raise UnusableError("A status is unknown.")
    first = min(statuses, key=words.index)
    return translated("nextmotion-status", first) or first


def _times(event: Source, tables: Tables) -> tuple[datetime, datetime]:
    start = _instant(event, "start_time", tables)
    if "end_time" in event:
        return start, _instant(event, "end_time", tables)
    minutes = event.whole("duration_minutes")
    if not minutes:
        raise UnusableError("calendar_event has neither an end nor a duration.")
    return start, later(start, minutes)


def _instant(event: Source, name: str, tables: Tables) -> datetime:
    """With the offset in the text, or beside it in seconds, or else in the clinic's zone."""
    text, seconds = event.need(name), event.whole(f"{name}_utc_offset_seconds")
    found = _parsed(text)
    if found is not None and found.tzinfo is None and seconds is not None:
        sign, rest = "-" if seconds < 0 else "+", abs(seconds)
        return with_offset(f"{found.isoformat()}{sign}{rest // 3600:02}:{rest % 3600 // 60:02}", name)
    return local(text, tables.zone, name)


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _others(source: Source, event: Source, tables: Tables) -> list[Json]:
    found = [
        participant(actor(type, system, item.need("id"), item.text(label), tables), attends=type == "Practitioner")
        for name, type, system, label in _ACTORS
        for item in event.each(name)
    ]
    device = source.at("device")
    if "id" in device:
        found.append(participant(actor("Device", DEVICE, device.need("id"), device.text("name"), tables)))
    return found
