"""A Pabau appointment, as its API answers -> Appointment. Times are local to the clinic, whose zone must be set.

The published shape has no id. Where the answer bears none either, the visit is known by client, service and start: then
a move cannot be told from another visit, and the loss report says so.
"""

from datetime import datetime

from mappers.booking.pabau.clients import CLIENT, NAME
from mappers.mapping.appointments import appointment, attending, codes, participant
from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import later, local, sortable, written
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import contact_points, human_name, patient
from mappers.mapping.result import Loss, Mapping, Order
from mappers.mapping.source import Source

APPOINTMENT = "https://api.oauth.pabau.com/appointments"
BY_CLIENT = "https://api.oauth.pabau.com/appointments/client-service-start"
SERVICE = "https://api.oauth.pabau.com/services"
USER = "https://api.oauth.pabau.com/users"
NO_ID = Loss("id", "The answer has none: a visit that is moved becomes another one.")


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    details = source.at("details")
    client, services = _only(source.each("client"), "client"), source.each("service")
    start, end = _times(source.at("dates"), tables)
    by, losses = _identity(message, source, client, services, start)
    status = _status(details.need("appointment_status"), tables)
    who = once(_person(client))
    about = appointment(
        [by],
        status,
        (start, end),
        [attending(who), *_user(source, tables)],
        zone=str(tables.zone) if tables.zone else None,
        serviceType=[
            concept for one in services for concept in codes(one.text("service"), SERVICE, one.text("service_id"))
        ],
        comment=details.text("notes"),
    )
    order = Order(0, sortable(_changed(message, details, tables)))
    key = f"{by['value']}|{order.instant}|{message.sha256}"
    return mapping(NAME, message, key, order, [who, kept(about)], (*losses, *source.losses()), unsure=[who])


def _status(word: str, tables: Tables) -> str:
    """What the clinic's table says, before what Pabau brings; a word that neither knows is not guessed."""
    known = {name.lower(): code for name, code in tables.statuses.items()}
    found = known.get(word.lower()) or translated("pabau-status", word)
    if found is None:
        raise UnusableError("details.appointment_status is a word that the clinic's table does not know.")
    return found


def _identity(
    message: Message, source: Source, client: Source, services: list[Source], start: datetime
) -> tuple[Json, tuple[Loss, ...]]:
    id = message.object_id or source.text("id") or source.at("details").text("id")
    if id:
        return identifier(APPOINTMENT, id), ()
    service = services[0].text("service_id") if services else None
    return identifier(BY_CLIENT, f"{client.need('id')}:{service or '-'}:{written(start)}"), (NO_ID,)


def _times(dates: Source, tables: Tables) -> tuple[datetime, datetime]:
    start = local(f"{dates.need('start_date')}T{dates.need('start_time')}", tables.zone, "dates.start_time")
    if "end_date" in dates and "end_time" in dates:
        dates.whole("duration")
        return start, local(f"{dates.need('end_date')}T{dates.need('end_time')}", tables.zone, "dates.end_time")
    minutes = dates.whole("duration")
    if not minutes:
        raise UnusableError("dates has neither an end nor a duration.")
    return start, later(start, minutes)


def _changed(message: Message, details: Source, tables: Tables) -> datetime:
    """When it last changed; never changed, when it was made; where Pabau says neither, when we looked."""
    made, said = details.text("create_date"), details.text("last_updated")
    if said:
        return local(said, tables.zone, "details.last_updated")
    return local(made, tables.zone, "details.create_date") if made else message.received


def _person(client: Source) -> Json:
    points = contact_points(client.text("Email"), client.text("Mobile"))
    return patient(CLIENT, client.need("id"), human_name(client.text("customer_name")), points)


def _user(source: Source, tables: Tables) -> list[Json]:
    """`created_by` typed it in, and need not be who treats: only a user that the answer names as such takes part."""
    return [
        participant(actor("Practitioner", USER, user.need("id"), user.text("name"), tables), attends=True)
        for user in source.each("user")
    ]


def _only(found: list[Source], what: str) -> Source:
    if len(found) != 1:
        raise UnusableError(f"{what} is not exactly one.")
    return found[0]
