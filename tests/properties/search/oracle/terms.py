"""A CodeSystem and ValueSets for the invented resources, and, written out by hand, what they mean."""

from collections.abc import Callable, Iterable

from fhir_server.kernel.json import Json
from tests.properties.search.oracle import kinds
from tests.properties.search.oracle.links import Asking
from tests.properties.search.oracle.meaning import Criterion
from tests.properties.search.oracle.world import Item, parameters

SYSTEM = "urn:c"
CODED = {"CodeableConcept", "Coding"}
UNDER = {"C0": "C0 C1 C2 C3 C4", "C1": "C1 C3 C4", "C2": "C2 C4", "C3": "C3", "C4": "C4", "C5": "C5"}
"""By code of the system: what is below it, itself included."""

_HL7 = [f"http://terminology.hl7.org/CodeSystem/{name}" for name in ("condition-clinical", "observation-category")]
_LOINC, _SNOMED = "http://loinc.org", "http://snomed.info/sct"

Member = Callable[[str, str], bool]
MEMBERS: dict[str, Member] = {
    "urn:vs:below": lambda system, code: system == SYSTEM and code in {"C1", "C3"},
    "urn:vs:loinc": lambda system, code: system == _LOINC and code != "29463-7",
    "urn:vs:mixed": lambda system, code: (
        (system == SYSTEM and code in {"C0", "C2", "C5"}) or system == _SNOMED or (system, code) == ("urn:t", "demo")
    ),
    "urn:vs:hl7": lambda system, code: system in _HL7 and code.casefold() in {"active", "final", "laboratory"},
}


def definitions() -> list[Json]:
    parents = [{"code": "parent", "valueCode": "C1"}, {"code": "parent", "valueCode": "C2"}]
    concepts = [
        {"code": "C0", "concept": [{"code": "C1", "concept": [{"code": "C3"}]}, {"code": "C2"}]},
        {"code": "C4", "property": parents},
        {"code": "C5"},
    ]
    under_c1 = {"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "C1"}]}
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
            [
                {"system": each, "concept": [{"code": code} for code in ("active", "final", "laboratory")]}
                for each in _HL7
            ],
        ),
    ]


def _value_set(name: str, include: list[Json], exclude: list[Json] | None = None) -> Json:
    compose = {"include": include, "exclude": exclude or []}
    return {"resourceType": "ValueSet", "id": name, "url": f"urn:vs:{name}", "status": "active", "compose": compose}


def criterion(asking: Asking, type: str) -> Criterion | None:
    """By a parameter that has a member of one of the sets somewhere; None where the type has no such."""
    world, chance = asking.world, asking.chance
    asked: list[tuple[str, str, Member]] = []
    for code, each in parameters(type).items():
        pool = world.pool(type, code) if each.kind == "token" else []
        asked += [(code, text, member) for text, member in _SETS.items() if _any_among(pool, member)]
    if not asked:
        return None
    modifier = chance.choice(sorted({text.partition("=")[0] for _, text, _ in asked}))
    code, text, member = chance.choice([each for each in asked if each[1].startswith(modifier)])
    value = text.partition("=")[2]
    negated = modifier == "in" and chance.random() < 0.4
    name = f"{code}:{'not-' if negated else ''}{modifier}"
    return Criterion(name, value, lambda each: _any_among(world.items(each, code), member) is not negated)


def _any_among(items: Iterable[Item], member: Member) -> bool:
    return any(
        member(system, code)
        for item, type, _ in items
        if type in CODED
        for system, code in kinds.codes(item, type)
        if system
    )


def _one_of(codes: Iterable[str]) -> Member:
    known = frozenset(codes)
    return lambda system, code: system == SYSTEM and code in known


_SETS: dict[str, Member] = {
    **{f"in={name}": member for name, member in MEMBERS.items()},
    **{f"in=ValueSet/{name.rpartition(':')[2]}": member for name, member in MEMBERS.items()},
    **{f"below={SYSTEM}|{code.lower()}": _one_of(under.split()) for code, under in UNDER.items()},
    **{
        f"above={SYSTEM}|{code}": _one_of(each for each, under in UNDER.items() if code in under.split())
        for code in UNDER
    },
}
"""As each is written in a search, and what it means."""
