"""A Calendly invitee -> Appointment, with a provisional Patient.

A reschedule sends two messages: `invitee.canceled` (rescheduled) and `invitee.created` that names the old invitee. The
visit is not cancelled: the second alone changes the Appointment, which keeps both identifiers.
"""

from mappers.mapping.appointments import appointment, attending, codes, participant
from mappers.mapping.assembly import mapping, nothing
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import sortable, with_offset
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import contact_points, human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

NAME = "calendly"
INVITEE = "https://api.calendly.com/scheduled_events/invitees"
EVENT = "https://api.calendly.com/scheduled_events"
EVENT_TYPE = "https://api.calendly.com/event_types"
USER = "https://api.calendly.com/users"
PERSON = "https://calendly.com/invitee-person"

_CARRIED = frozenset({"invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted"})
_BEARER = "Whoever has it may cancel or move the visit."
REASONS = {
    "cancel_url": _BEARER,
    "reschedule_url": _BEARER,
    "join_url": "It lets whoever has it into the meeting.",
    "answer": "Answers of a booking form are no record until somebody read them.",
    "question": "Answers of a booking form are no record until somebody read them.",
}


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    event, payload = source.need("event"), source.at("payload")
    order = Order(0, sortable(with_offset(source.need("created_at"), "created_at")))
    if event not in _CARRIED:
        return nothing(f"{event}|{message.sha256}", source.losses(REASONS))
    uri = payload.need("uri")
    key = f"{uri}|{event}|{order.instant}"
    if event == "invitee.canceled" and payload.flag("rescheduled"):
        return nothing(key, source.losses(REASONS))
    old = payload.text("old_invitee")
    who = once(
        patient(
            PERSON,
            old or uri,
            _name(payload),
            contact_points(payload.text("email"), payload.text("text_reminder_number")),
        )
    )
    entries = [who, kept(_appointment(payload, uri, old, who, tables))]
    return mapping(NAME, message, key, order, entries, source.losses(REASONS), unsure=[who])


def _appointment(payload: Source, uri: str, old: str | None, who: Json, tables: Tables) -> Json:
    event = payload.at("scheduled_event")
    word = payload.need("status")
    status = "noshow" if "no_show" in payload else translated("calendly-status", word)
    if status is None:
        raise UnusableError("payload.status is not a known word.")
    payload.at("no_show").text("uri")
    reason = payload.at("cancellation").text("reason")
    return appointment(
        [
            identifier(INVITEE, uri),
            *([identifier(INVITEE, old, "old")] if old and old != uri else []),
            *([identifier(EVENT, event.need("uri"), "secondary")] if "uri" in event else []),
        ],
        status,
        (with_offset(event.need("start_time"), "start_time"), with_offset(event.need("end_time"), "end_time")),
        [attending(who), *_hosts(event, tables)],
        zone=payload.text("timezone"),
        serviceType=codes(event.text("name"), EVENT_TYPE, event.text("event_type")),
        cancelationReason={"text": reason} if reason else None,
    )


def _hosts(event: Source, tables: Tables) -> list[Json]:
    hosts = ((host.text("user"), host.text("user_name")) for host in event.each("event_memberships"))
    return [participant(actor("Practitioner", USER, user, name, tables), attends=True) for user, name in hosts if user]


def _name(payload: Source) -> Json | None:
    return human_name(payload.text("name"), payload.text("last_name"), payload.text("first_name"))
