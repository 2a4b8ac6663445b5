"""A CodeSystem and ValueSets for the invented resources, and, written out by hand, what they mean."""

from collections.abc import Callable
from typing import Any

from fhir_server.kernel.json import Json
from tests.properties.search.oracle import kinds

SYSTEM = "urn:c"
CODED = {"CodeableConcept", "Coding"}
UNDER = {"C0": "C0 C1 C2 C3 C4", "C1": "C1 C3 C4", "C2": "C2 C4", "C3": "C3", "C4": "C4", "C5": "C5"}
"""By code of the system: what is below it, itself included."""

_HL7 = "http://terminology.hl7.org/CodeSystem/"
_LOINC, _SNOMED = "http://loinc.org", "http://snomed.info/sct"

Member = Callable[[str, str], bool]
MEMBERS: dict[str, Member] = {
    "urn:vs:below": lambda system, code: system == SYSTEM and code in {"C1", "C3"},
    "urn:vs:loinc": lambda system, code: system == _LOINC and code != "29463-7",
    "urn:vs:mixed": lambda system, code: (
        (system == SYSTEM and code in {"C0", "C2", "C5"}) or system == _SNOMED or (system, code) == ("urn:t", "demo")
    ),
    "urn:vs:hl7": lambda system, code: system.startswith(_HL7) and code.casefold() in {"active", "final", "laboratory"},
}


def definitions() -> list[Json]:
    parents = [{"code": "parent", "valueCode": "C1"}, {"code": "parent", "valueCode": "C2"}]
    concepts = [
        {"code": "C0", "concept": [{"code": "C1", "concept": [{"code": "C3"}]}, {"code": "C2"}]},
        {"code": "C4", "property": parents},
        {"code": "C5"},
    ]
    under_c1 = {"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "C1"}]}
    whole = [{"system": f"{_HL7}{name}"} for name in ("condition-clinical", "observation-category")]
    return [
        {
            "resourceType": "CodeSystem",
            "id": "c",
            "url": SYSTEM,
            "status": "active",
            "content": "complete",
            "hierarchyMeaning": "is-a",
            "concept": concepts,
        },
        _value_set("below", [under_c1], [{"system": SYSTEM, "concept": [{"code": "C4"}]}]),
        _value_set("loinc", [{"system": _LOINC}], [{"system": _LOINC, "concept": [{"code": "29463-7"}]}]),
        _value_set(
            "mixed",
            [
                {"system": SYSTEM},
                {"system": _SNOMED},
                {"system": "urn:t", "concept": [{"code": "Demo"}]},
            ],
            [{"valueSet": ["urn:vs:below"]}, {"system": SYSTEM, "concept": [{"code": "C4"}]}],
        ),
        _value_set(
            "hl7",
            [{**each, "concept": [{"code": code} for code in ("active", "final", "laboratory")]} for each in whole],
        ),
    ]


def _value_set(name: str, include: list[Json], exclude: list[Json] | None = None) -> Json:
    compose = {"include": include, "exclude": exclude or []}
    return {"resourceType": "ValueSet", "id": name, "url": f"urn:vs:{name}", "status": "active", "compose": compose}


def among_holds(item: Any, type: str, member: Member) -> bool:
    return type in CODED and any(bool(system) and member(system, code) for system, code in kinds.codes(item, type))


def side_holds(item: Any, type: str, side: str, code: str) -> bool:
    asked = set(UNDER[code].split()) if side == "below" else {each for each, under in UNDER.items() if code in under}
    return among_holds(item, type, lambda system, found: system == SYSTEM and found in asked)
