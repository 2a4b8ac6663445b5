"""ADT: people and their stays. A01 to A08, A28, A31; A40 merges, A37 takes a merge back.

The HL7 v2-to-FHIR guide, which has no merge: the one that was replaced is inactive and linked to the one that stays.
"""

from mappers.hl7v2.fields import Zone, authority, moment
from mappers.hl7v2.parsing import Parsed, Segment
from mappers.hl7v2.people import numbers, patient, practitioner
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import changed, kept
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables
from mappers.mapping.result import Loss, Order
from mappers.mapping.stamps import stamped

TRIGGERS = frozenset({"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A28", "A31", "A37", "A40"})
_PEOPLE = frozenset({"A28", "A31", "A40"})
_STAY = {"A01": "in-progress", "A02": "in-progress", "A03": "finished", "A04": "arrived", "A05": "planned"}
_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_REFERENCES_STAY = Loss("MRG-1", "What refers to the patient who was replaced is not pointed to the other.")
_ONLY_UNLINKED = Loss("PID", "An unlink says who is two people again, and nothing else of them is taken.")
_NO_STAY = Loss("PV1", "A stay without its number (PV1-19), or of an unknown class (PV1-2), is not told.")


def entries(parsed: Parsed, source: str, zone: Zone, order: Order, tables: Tables) -> tuple[list[Json], list[Loss]]:
    if parsed.trigger == "A37":
        return [_unlinked(parsed, source, pid, order) for pid in parsed.all("PID")], [_ONLY_UNLINKED]
    who = kept(patient(parsed, source))
    if parsed.trigger == "A40":
        return [who, _replaced(parsed, source, who, order)], [_REFERENCES_STAY]
    if parsed.trigger in _PEOPLE or parsed.first("PV1") is None:
        return [who], []
    stay = _stay(parsed, parsed.need("PV1"), source, zone, who, tables)
    return ([who, kept(stay)], []) if stay else ([who], [_NO_STAY])


def _replaced(parsed: Parsed, source: str, who: Json, order: Order) -> Json:
    part: Json = {
        "resourceType": "Patient",
        "identifier": numbers(parsed.need("MRG"), 1, source, parsed.refused)[:1],
        "active": False,
        "link": [{"other": {"reference": who["fullUrl"]}, "type": "replaced-by"}],
    }
    return changed(stamped(part, order, "link"))


def _unlinked(parsed: Parsed, source: str, pid: Segment, order: Order) -> Json:
    """It does not say which of the two was replaced: whoever bears the link loses it."""
    part: Json = {
        "resourceType": "Patient",
        "identifier": numbers(pid, 3, source, parsed.refused)[:1],
        "active": True,
        "link": [],
    }
    return changed(stamped(part, order, "link"))


def _stay(parsed: Parsed, pv1: Segment, source: str, zone: Zone, who: Json, tables: Tables) -> Json | None:
    """A06 to A08 change a stay whose state they do not tell: it is told by whether it ended."""
    [number, *_] = pv1.repetitions(19) or [""]
    value, code = pv1.part(number, 1), translated("v2-0004", pv1.text(2))
    if value is None or code is None:
        return None
    began, ended = moment(pv1.text(44), zone, "PV1-44"), moment(pv1.text(45), zone, "PV1-45")
    times = {"start": written(began) if began else None, "end": written(ended) if ended else None}
    period = {name: time for name, time in times.items() if time}
    doctors = (practitioner(pv1, text, source, tables) for field in (7, 8, 9, 17) for text in pv1.repetitions(field))
    found: Json = {
        "resourceType": "Encounter",
        "identifier": [identifier(f"{authority(pv1, number, 4, source)}:visit", value)],
        "status": _STAY.get(parsed.trigger) or ("finished" if ended else "in-progress"),
        "class": {"system": _CLASS, "code": code},
        "subject": {"reference": who["fullUrl"]},
        "period": period,
        "participant": [{"individual": doctor} for doctor in doctors if doctor],
        "location": _place(pv1, source, tables),
    }
    return {element: value for element, value in found.items() if value}


def _place(pv1: Segment, source: str, tables: Tables) -> list[Json]:
    """PL: ward, room, bed as one name within the source."""
    [text, *_] = pv1.repetitions(3) or [""]
    parts = [part for part in (pv1.part(text, component) for component in (1, 2, 3)) if part]
    if not parts:
        return []
    name = " ".join(parts)
    system = f"{authority(pv1, text, 4, source)}:location"
    return [{"location": actor("Location", system, name, name, tables)}]
