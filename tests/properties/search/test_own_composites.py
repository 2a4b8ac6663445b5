"""A clinic's own composites, held against the second opinion: each of R4's, said again under a code of one's own."""

from datetime import UTC, datetime
from random import Random  # noqa: TID251  seeded: the same searches every time

import pytest

from fhir_server.engine.stored import Stored, truth
from fhir_server.fhir.definitions import SearchParameter, search_parameters, served_types
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.custom import taken
from fhir_server.search.language import Language
from fhir_server.search.match import Candidate, matches
from fhir_server.search.parse import parse
from fhir_server.search.registry import Registry
from tests.properties.search.oracle import data
from tests.properties.search.oracle.asking import Asking
from tests.properties.search.oracle.world import World
from tests.unit.search.asking import BASE, indexed

_SEARCHES = 8
_LEAVES_ITS_ELEMENT = {
    ("MolecularSequence", "chromosome-variant-coordinate"),
    ("MolecularSequence", "referenceseqid-variant-coordinate"),
}


def r4s() -> list[tuple[str, SearchParameter]]:
    return [
        (type, each)
        for type in sorted(served_types())
        for each in search_parameters(type).values()
        if each.kind == "composite"
    ]


def said_again(type: str, composite: SearchParameter) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": f"{type}-{composite.code}",
        "status": "active",
        "code": f"own-{composite.code}",
        "base": [type],
        "type": "composite",
        "expression": composite.expression,
        "component": [
            {"definition": f"http://hl7.org/fhir/SearchParameter/{type}-{part.code}", "expression": part.expression}
            for part in composite.components
        ],
    }


def test_each_composite_of_r4_would_take_part_as_a_clinics_own() -> None:
    problems = taken([said_again(*each) for each in r4s()]).problems

    assert problems.keys() == {f"{type}-{code}" for type, code in _LEAVES_ITS_ELEMENT}


@pytest.fixture(scope="module")
def world() -> World:
    stored = []
    for seq, resource in enumerate(data.resources(patients=1)):
        key = ResourceKey(resource["resourceType"], resource["id"])
        stored.append(Stored(key, 1, seq, datetime(2026, 1, 1, tzinfo=UTC), truth(key, resource)))
    return World(stored, BASE)


def test_a_clinics_own_composite_finds_what_looking_at_everything_finds(world: World) -> None:
    registry = Registry(taken([said_again(*each) for each in r4s()]).definitions, number=2)
    found = 0
    for type, composite in r4s():
        if not world.composites(type, composite.code) or f"own-{composite.code}" not in registry.of(type).by_code:
            continue
        asking = Asking(world, Random(composite.code))
        for _ in range(_SEARCHES):
            criterion = asking.by(type, composite)
            if criterion is None:
                continue
            query = parse(type, [(f"own-{composite.code}", criterion.value)], Language(BASE, registry=registry))
            for each in world.by_type[type]:
                candidate = Candidate(type, each.key.id, each.last_updated, frozenset(), each.resource)
                assert matches(query, candidate) == criterion.holds(each), f"{type}?{composite.code}={criterion.value}"
                if matches(query, candidate):
                    found += 1
                    assert indexed(query, each.resource), f"{type}?{composite.code}={criterion.value}"
    assert found > 100
