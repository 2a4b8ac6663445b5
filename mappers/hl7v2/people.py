"""PID -> Patient, XCN -> a practitioner by identifier.

The HL7 v2-to-FHIR guide. A French INS is carried only where PID-32 says that the identity is qualified (VALI).
"""

from mappers.hl7v2.fields import address, authority, day, name, telecom
from mappers.hl7v2.parsing import Parsed, Segment
from mappers.mapping.concept_maps import translated
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor, identifier
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables

_INS = frozenset({"urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9"})
_OWN = frozenset({"MR", "PI", "PT"})


def patient(parsed: Parsed, source: str) -> Json:
    """The number in the sender's own file comes first: by it the patient is known."""
    pid = parsed.need("PID")
    found: Json = {"resourceType": "Patient", "identifier": numbers(pid, 3, source)}
    elements: Json = {
        "name": [one for one in (name(pid, text) for text in pid.repetitions(5)) if one],
        "telecom": [
            one for number in (13, 14, 40) for one in (telecom(pid, text) for text in pid.repetitions(number)) if one
        ],
        "gender": translated("v2-0001", pid.text(8)),
        "birthDate": day(pid.text(7)),
        "address": [one for one in (address(pid, text) for text in pid.repetitions(11)) if one],
        **_deceased(pid),
    }
    return found | {element: value for element, value in elements.items() if value}


def numbers(segment: Segment, field: int, source: str) -> list[Json]:
    """CX. Those that are not allowed here without qualification are left out."""
    qualified = segment.name != "PID" or "VALI" in (segment.text(32) or "")
    kinds: list[tuple[str | None, Json]] = []
    for text in segment.repetitions(field):
        value, kind = segment.part(text, 1), segment.part(text, 5)
        system = authority(segment, text, 4, source)
        if value and (qualified or system not in _INS):
            kinds.append((kind, identifier(system, value)))
    if not kinds:
        raise UnusableError(f"{segment.name}-{field} has no identifier that may be used.")
    return [one for _, one in sorted(kinds, key=lambda pair: pair[0] not in _OWN)]


def practitioner(segment: Segment, repetition: str, source: str, tables: Tables) -> Json | None:
    """XCN: number, family, given; the authority in its ninth part."""
    value = segment.part(repetition, 1)
    if value is None:
        return None
    family, given = segment.part(repetition, 2), segment.part(repetition, 3)
    display = " ".join(part for part in (given, family) if part) or None
    return actor("Practitioner", authority(segment, repetition, 9, source), value, display, tables)


def _deceased(pid: Segment) -> Json:
    said, when = pid.text(30), day(pid.text(29))
    if when:
        return {"deceasedDateTime": when}
    return {"deceasedBoolean": True} if said == "Y" else {}
