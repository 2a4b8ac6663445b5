"""PID -> Patient, XCN -> a practitioner by identifier.

The HL7 v2-to-FHIR guide. PID-32 says how sure the identity is: VALI of a French INS, NSTS01 to NSTS08 of an NHS number.
"""

from mappers.hl7v2.fields import address, authority, day, name, telecom
from mappers.hl7v2.parsing import Parsed, Segment
from mappers.mapping.concept_maps import translated
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import actor
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables
from mappers.mapping.national_numbers import INS, NHS, QUALIFIED, SEVERAL, national, refusal, reliability
from mappers.mapping.result import Loss

_NHS_OID = "urn:oid:2.16.840.1.113883.2.1.4.1"
_WHOLE_DATE = 8
_OWN = frozenset({"MR", "PI", "PT"})


def patient(parsed: Parsed, source: str) -> Json:
    """The number in the sender's own file comes first: by it the patient is known."""
    pid = parsed.need("PID")
    known = numbers(pid, 3, source, parsed.refused)
    found: Json = {"resourceType": "Patient", "identifier": known}
    if any(one["system"] in INS for one in known):
        found["extension"] = [reliability()]
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


def numbers(segment: Segment, field: int, source: str, lost: list[Loss]) -> list[Json]:
    """CX. National numbers that may not be carried are left out, and named."""
    states = " ".join(segment.repetitions(32)) if segment.name == "PID" else QUALIFIED
    qualified = segment.name != "PID" or (QUALIFIED in states.split() and _has_traits(segment))
    kinds: list[tuple[str | None, Json]] = []
    for text in segment.repetitions(field):
        value, kind = segment.part(text, 1), segment.part(text, 5)
        system = _system(segment, text, source)
        why = refusal(system, value, qualified=qualified) if value else None
        if why:
            lost.append(Loss(f"{segment.name}-{field}", why))
        elif value:
            kinds.append((kind, national(system, value, states)))
    if len({one["value"] for _, one in kinds if one["system"] in INS}) > 1:
        lost.append(Loss(f"{segment.name}-{field}", SEVERAL))
        kinds = [pair for pair in kinds if pair[1]["system"] not in INS]
    if not kinds:
        raise UnusableError(f"{segment.name}-{field} has no identifier that may be used.")
    return [one for _, one in sorted(kinds, key=lambda pair: pair[0] not in _OWN)]


def _system(segment: Segment, text: str, source: str) -> str:
    """The NHS names its authority by an OID, or by its name where the number is of type NH."""
    found = authority(segment, text, 4, source)
    is_nhs = segment.part(text, 5) == "NH" and segment.part(text, 4) == "NHS"
    return NHS if is_nhs or found == _NHS_OID else found


def _has_traits(pid: Segment) -> bool:
    """What a qualified identity consists of, but for the place of birth, which hardly any sender has."""
    return bool(pid.text(5) and pid.text(5, 2) and pid.text(8) in {"F", "M"} and len(pid.text(7) or "") >= _WHOLE_DATE)


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
