"""Searching by tokens finds exactly what a look at every opened resource finds, in the same order."""

import gzip
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.engine.position import Position
from fhir_server.engine.references import rewrite
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.search.match import Candidate, matches
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[3].parent / "shared/data/synthea"
FAMILIES = [
    "Chalmers",
    "chalm\u00e9rs",
    "Chal",
    "Windsor",
    "M\u00fcller-Schmidt",
    "Mueller",
    "O'Brien",
    "van der Berg",
    "\u674e",
]
DATES = ["1974", "1974-12", "1974-12-25", "1975-01-01", "1980-02-29", "2001-06-30"]


def invented() -> list[Json]:
    """A patient for each family and date, with what else is searched by in all combinations."""
    numbers = count()
    found: list[Json] = []
    for family in FAMILIES:
        for date in DATES:
            number = next(numbers)
            patient: Json = {"resourceType": "Patient", "id": f"p{number}", "birthDate": date}
            patient["name"] = [{"family": family, "given": [["Jim", "James"][number % 2], "Peter"][: number % 3]}]
            if not patient["name"][0]["given"]:
                del patient["name"][0]["given"]
            if number % 3:
                patient["gender"] = ["male", "female"][number % 2]
            if number % 4:
                patient["identifier"] = [{"system": f"urn:s{number % 2}", "value": f"{number % 5}"}]
            found.append(patient)
    return found


def real() -> list[Json]:
    """One of the published bundles, its references made ours."""
    path = DATA / "robby.json.gz"
    if not path.exists():
        return []
    entries = json.decode(gzip.decompress(path.read_bytes()))["entry"]
    ids = {entry["fullUrl"]: f"{entry['resource']['resourceType']}/r{n}" for n, entry in enumerate(entries)}
    return [rewrite({**entry["resource"], "id": ids[entry["fullUrl"]].partition("/")[2]}, ids) for entry in entries]


RESOURCES = [*invented(), *real()]
OF_TYPE = {type: [one for one in RESOURCES if one["resourceType"] == type] for type in ("Patient", "Observation")}
CODES = sorted({coding["code"] for one in OF_TYPE["Observation"] for coding in one["code"]["coding"]}) or ["x"]
VALUES = [f"{one['valueQuantity']['value']:.6}" for one in OF_TYPE["Observation"] if "valueQuantity" in one][:40] or [
    "1"
]
prefixes = st.sampled_from(["", "eq", "ne", "lt", "le", "gt", "ge", "sa", "eb", "ap"])
words = st.sampled_from([*FAMILIES, "c", "ch", "CHALMERS", "mu", "schmidt", "ji", "Pete", "peters", "obrien", "nobody"])


def pair(names: Sequence[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(names), values)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(",".join)


patient_pairs = st.one_of(
    pair(["name", "family", "given", "family:exact", "name:exact", "given:exact"], several(words)),
    pair(["birthdate"], st.builds(lambda prefix, date: prefix + date, prefixes, st.sampled_from(DATES))),
    pair(["gender", "gender:not"], several(st.sampled_from(["male", "female", "unknown"]))),
    pair(["identifier"], several(st.sampled_from(["1", "urn:s1|1", "urn:s0|2", "|3", "urn:s1|", "urn:s0|4"]))),
    pair(["gender:missing", "identifier:missing", "given:missing"], st.sampled_from(["true", "false"])),
    pair(["_id"], several(st.sampled_from(["p1", "p2", "p40", "nobody"]))),
)
observation_pairs = st.one_of(
    pair(["code"], several(st.sampled_from(CODES))),
    pair(["date"], st.builds(lambda p, y, m: f"{p}{y}-{m:02d}", prefixes, st.integers(2009, 2020), st.integers(1, 12))),
    pair(["value-quantity"], st.builds(lambda prefix, value: prefix + value, prefixes, st.sampled_from(VALUES))),
    pair(["category"], st.sampled_from(["vital-signs", "laboratory", "survey"])),
    pair(["subject", "patient"], st.sampled_from(["Patient/r0", "Patient/p1"])),
)
queries = st.one_of(
    st.tuples(st.just("Patient"), st.lists(patient_pairs, max_size=3)),
    st.tuples(st.just("Observation"), st.lists(observation_pairs, max_size=3)),
)


class Loaded:
    """A plain class: a failing example should not print all that was stored."""

    def __init__(self, store: ClinicStore, stored: list[Stored]) -> None:
        self.store, self.stored = store, stored


@pytest.fixture(scope="module")
async def loaded(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Loaded]:
    async with store_on(mongo_uri, "test_find", tmp_path_factory.mktemp("find"), FakeClock()) as store:
        stored: list[Stored] = []
        for first in range(0, len(RESOURCES), 100):
            stored += await store.resources.commit([writing(one) for one in RESOURCES[first : first + 100]])
        yield Loaded(store, stored)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=queries,
    size=st.sampled_from([3, 20, 1000]),
    sort=st.sampled_from(["", "_lastUpdated", "-_lastUpdated", "_id"]),
)
async def test_what_is_found_by_tokens_is_what_is_found_by_looking_at_everything(
    loaded: Loaded, query: tuple[str, list[tuple[str, str]]], size: int, sort: str
) -> None:
    type, pairs = query
    asked = parse(type, [*pairs, *([("_sort", sort)] if sort else [])])

    found: list[str] = []
    position: Position | None = None
    for _ in range(500):
        page = await loaded.store.resources.find(asked, position, size)
        found += [str(stored.key) for stored in page.matches]
        position = page.position
        if position is None:
            break

    expected = [stored for stored in loaded.stored if matches(asked, candidate(stored))]
    if sort == "_id":
        expected.sort(key=lambda stored: str(stored.key))
    elif sort.startswith("-"):
        expected.reverse()
    assert found == [str(stored.key) for stored in expected]


def candidate(stored: Stored) -> Any:
    return Candidate(stored.key.type, stored.key.id, stored.last_updated, frozenset(stored.access), stored.resource)
