"""SIU S12 to S26 -> Appointment; S23 and S24 -> Slot.

The HL7 v2-to-FHIR guide (SIU_S12); start and end stand in SCH-11, TQ1 or AIS, whichever is there.
"""

from datetime import datetime, timedelta

from mappers.hl7v2.fields import Zone, authority, concept, entity, moment
from mappers.hl7v2.parsing import Parsed, Segment
from mappers.hl7v2.people import patient, practitioner
from mappers.mapping.appointments import appointment, attending, participant
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import changed, kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables

TRIGGERS = frozenset(f"S{number}" for number in (12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26))
FIRST = frozenset({"S12", "S23"})
"""Those that begin something; the others are about what was told before."""

_SAID = {"S15": "cancelled", "S16": "cancelled", "S17": "entered-in-error", "S26": "noshow"}
_NEW = frozenset({"S12", "S13"})
_BLOCKS = {"S23": "busy-unavailable", "S24": "free"}
_MINUTES = frozenset({"MIN", "M", "MINUTES", "MINUTE"})
_RESOURCES = (("AIP", "Practitioner"), ("AIL", "Location"), ("AIG", "Device"))
_DELETED = "D"


def entries(parsed: Parsed, source: str, zone: Zone, tables: Tables) -> list[Json]:
    sch = parsed.need("SCH")
    known = [one for one in (entity(sch, 2, source), entity(sch, 1, source)) if one]
    if not known:
        raise UnusableError("SCH-1 and SCH-2 are missing.")
    times = _times(parsed, sch, zone)
    if parsed.trigger in _BLOCKS:
        return _blocked(parsed, known, times, source, tables)
    who = once(patient(parsed, source)) if parsed.first("PID") else None
    status = _SAID.get(parsed.trigger) or _status(sch)
    about = appointment(
        known,
        status or "booked",
        times,
        [*([attending(who)] if who else []), *_resources(parsed, source, tables)],
        appointmentType=concept(sch, 8),
        reasonCode=_listed(concept(sch, 7)),
        serviceType=[one for one in (concept(ais, 3) for ais in parsed.all("AIS")) if one],
        comment="\n".join(text for text in (nte.text(3) for nte in parsed.all("NTE")) if text),
        cancelationReason=concept(sch, 6),
    )
    if not about["participant"]:
        raise UnusableError("The appointment is nobody's.")
    # What only modifies, and does not say in which state it is, leaves the state as it was.
    if status is None and parsed.trigger not in _NEW:
        del about["status"]
        return [*([who] if who else []), changed(about)]
    return [*([who] if who else []), kept(about)]


def _status(sch: Segment) -> str | None:
    said = sch.text(25)
    if said is None:
        return None
    found = translated("v2-0278", said)
    if found is None:
        raise UnusableError("SCH-25 is not a known word.")
    return found


def _times(parsed: Parsed, sch: Segment, zone: Zone) -> tuple[datetime, datetime] | None:
    tq1, ais = parsed.first("TQ1"), parsed.first("AIS")
    start, end = moment(sch.text(11, 4), zone, "SCH-11"), moment(sch.text(11, 5), zone, "SCH-11")
    minutes = _minutes(sch, 9, 10)
    if start is None and tq1 is not None:
        start, end = moment(tq1.text(7), zone, "TQ1-7"), moment(tq1.text(8), zone, "TQ1-8")
    if ais is not None:
        start = start or moment(ais.text(4), zone, "AIS-4")
        minutes = minutes or _minutes(ais, 7, 8)
    if start is None:
        return None
    if end is None and minutes is not None:
        end = start + timedelta(minutes=minutes)
    if end is None:
        raise UnusableError("The appointment has a start and neither an end nor a duration in minutes.")
    return start, end


def _minutes(segment: Segment, number: int, unit: int) -> int | None:
    text, named = segment.text(number), (segment.text(unit) or "").upper()
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 and named in _MINUTES else None  # noqa: PLR2004  longer is no visit


def _resources(parsed: Parsed, source: str, tables: Tables) -> list[Json]:
    found = (_resource(one, type, source, tables) for name, type in _RESOURCES for one in parsed.all(name))
    return [participant(who, attends=who.get("type") == "Practitioner") for who in found if who]


def _resource(segment: Segment, type: str, source: str, tables: Tables) -> Json | None:
    [text, *_] = segment.repetitions(3) or [""]
    if segment.text(2) == _DELETED or not text:
        return None
    if type == "Practitioner":
        return practitioner(segment, text, source, tables)
    value, label = segment.part(text, 1), segment.part(text, 2)
    system = f"{authority(segment, text, 4, source)}:{segment.name.lower()}"
    return actor(type, system, value, label or value, tables) if value else None


def _blocked(
    parsed: Parsed, known: list[Json], times: tuple[datetime, datetime] | None, source: str, tables: Tables
) -> list[Json]:
    found = (_resource(one, type, source, tables) for name, type in _RESOURCES for one in parsed.all(name))
    resource = next((one for one in found if one), None)
    if times is None or resource is None:
        raise UnusableError("A block is of one resource, and has its times.")
    by = resource.get("identifier") or identifier("urn:ietf:rfc:3986", resource["reference"])
    schedule = once({"resourceType": "Schedule", "identifier": [by], "actor": [resource]})
    slot = {
        "resourceType": "Slot",
        "identifier": known,
        "schedule": {"reference": schedule["fullUrl"]},
        "status": _BLOCKS[parsed.trigger],
        "start": written(times[0]),
        "end": written(times[1]),
    }
    return [schedule, kept(slot)]


def _listed(one: Json | None) -> list[Json]:
    return [one] if one else []
