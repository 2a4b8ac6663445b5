"""A Cliniko appointment -> Appointment; without a patient it is a block: Slot, busy-unavailable.

Three lists hold it in turn (live, cancelled, deleted); what it bears itself says which state it is in.
"""

from mappers.booking.cliniko.links import linked, own
from mappers.mapping.appointments import appointment, attending, codes, participant
from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import sortable, with_offset, written
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

NAME = "cliniko"
COLLECTION = "individual_appointments"
_REASONS_OF_CLINIKO = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"

REASONS = {
    "booking_ip_address": "Where somebody booked from is nobody's record.",
    "online_booking_policy_accepted": "A tick is no consent.",
    "telehealth_url": "It lets whoever has it into the meeting.",
}


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    by, updated = own(source, COLLECTION), with_offset(source.need("updated_at"), "updated_at")
    times = with_offset(source.need("starts_at"), "starts_at"), with_offset(source.need("ends_at"), "ends_at")
    whose = linked(source, "patient")
    if whose is None:
        entries, unsure = _block(source, by, (written(times[0]), written(times[1])), tables), []
    else:
        who = once(patient(*whose, human_name(source.text("patient_name"))))
        about = appointment(
            [identifier(*by)],
            _status(source),
            times,
            [attending(who), *_others(source, tables)],
            serviceType=_type(source),
            comment=source.text("notes"),
            cancelationReason=_reason(source),
        )
        entries, unsure = [who, kept(about)], [who]
    order = Order(0, sortable(updated))
    key = f"{by[0]}|{by[1]}|{order.instant}|{_status(source)}"
    return mapping(NAME, message, key, order, entries, source.losses(REASONS), unsure=unsure)


def _status(source: Source) -> str:
    """The first that holds. Finished notes or a paid invoice do not say that somebody was there."""
    if "deleted_at" in source:
        source.text("deleted_at")
        return "entered-in-error"
    if "cancelled_at" in source:
        source.text("cancelled_at")
        return "cancelled"
    absent, arrived = source.flag("did_not_arrive"), source.flag("patient_arrived")
    return "noshow" if absent else "arrived" if arrived else "booked"


def _type(source: Source) -> list[Json]:
    found = linked(source, "appointment_type")
    return codes(None, *found) if found else []


def _reason(source: Source) -> Json | None:
    text, note = source.text("cancellation_reason_description"), source.text("cancellation_note")
    source.whole("cancellation_reason")
    code = translated("cliniko-cancellation-reason", text)
    said = ": ".join(part for part in (text, note) if part)
    concept = codes(said or None)
    if concept and code:
        concept[0]["coding"] = [{"system": _REASONS_OF_CLINIKO, "code": code}]
    return concept[0] if concept else None


def _others(source: Source, tables: Tables) -> list[Json]:
    practitioner, business = linked(source, "practitioner"), linked(source, "business")
    return [
        *([participant(actor("Practitioner", *practitioner, None, tables), attends=True)] if practitioner else []),
        *([participant(actor("Location", *business, None, tables))] if business else []),
    ]


def _block(source: Source, by: tuple[str, str], times: tuple[str, str], tables: Tables) -> list[Json]:
    whose = linked(source, "practitioner")
    if whose is None or linked(source, "attendees") is not None:
        raise UnusableError("It has neither a patient of its own nor only a practitioner.")
    schedule = once(
        {
            "resourceType": "Schedule",
            "identifier": [identifier(*whose)],
            "actor": [actor("Practitioner", *whose, None, tables)],
        }
    )
    gone = _status(source) in {"cancelled", "entered-in-error"}
    slot = {
        "resourceType": "Slot",
        "identifier": [identifier(*by)],
        "schedule": {"reference": schedule["fullUrl"]},
        "status": "entered-in-error" if gone else "busy-unavailable",
        "start": times[0],
        "end": times[1],
    }
    return [schedule, kept(slot)]
