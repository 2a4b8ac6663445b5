"""What MongoDB does for each kind of search: it walks the one index it is told, over few keys, and sorts nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.search.tree import Filter, InCompartment, Mandate, Query, ValueIn
from fhir_server.search.types.codes import CodeSet, TokenAmong
from fhir_server.search.types.kind import MOST_KEYWORDS
from fhir_server.search.types.reference import ReferenceAmong
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.query_compiler import Compiled, compile_query
from fhir_server.store.shared_looks import Look, together
from tests.contract.clinics import Noted, store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

PEOPLE = 800
LIMIT = 21
FAMILIES = [
    first + second + third
    for first in ("Ber", "Mal", "Kon", "Dui", "Fos")
    for second in "aeiou"
    for third in ("mann", "sen")
]


def patient(number: int) -> Json:
    return {
        "resourceType": "Patient",
        "id": f"p{number:04}",
        "name": [{"family": FAMILIES[number % 50], "given": [["Ann", "Ben", "Carla"][number % 3]]}],
        "gender": ["female", "male"][number % 2],
        "birthDate": f"{1930 + number % 90}-{1 + number % 12:02}-{1 + number % 28:02}",
        "identifier": [{"system": "urn:mrn", "value": f"M{number}"}],
        "meta": {"profile": [f"http://x.example/P{number % 4}"]},
        "active": True,
    }


def observation(number: int) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"o{number:04}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"C{number % 20}"}]},
        "subject": {"reference": f"Patient/p{number:04}"},
        "encounter": {"reference": f"Encounter/e{number % 100}"},
        "effectiveDateTime": f"20{10 + number % 10}-{1 + number % 12:02}-{1 + number % 28:02}T10:00:00Z",
        "valueQuantity": {"value": number % 200, "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def risk(number: int) -> Json:
    return {
        "resourceType": "RiskAssessment",
        "id": f"r{number:03}",
        "status": "final",
        "subject": {"reference": f"Patient/p{number:04}"},
        "prediction": [{"probabilityDecimal": Decimal(number) / 100}],
    }


def location(number: int) -> Json:
    return {
        "resourceType": "Location",
        "id": f"l{number:03}",
        "position": {"longitude": Decimal(number % 30), "latitude": Decimal(40 + number // 30)},
    }


class Filled:
    def __init__(self, store: ClinicStore, rows: Any, stored: Sequence[Stored]) -> None:
        self.store = store
        self.tokenizer = store.resources._indexing.layouts.searching
        self.rows, self.stored = rows, stored

    def explained(self, query: Query, after: Position | None = None, collection: str = "resources") -> list[Json]:
        """One for each look."""
        compiled = compile_query(query, after, self.tokenizer)
        return [self._explained(compiled, filter, collection) for filter in compiled.filters]

    def explained_together(self, queries: Sequence[Query]) -> list[Json]:
        """The plans of one command for all of them."""
        compiled = [compile_query(query, None, self.tokenizer) for query in queries]
        assert all(each.by_tokens_alone for each in compiled)
        looks = [Look(each.filters[0], each.sort, each.hint, LIMIT, asyncio.Future()) for each in compiled]
        command = {"aggregate": "resources", "pipeline": together("resources", looks, UNSEARCHED), "cursor": {}}
        return list(plans(self.rows.database.command("explain", command, verbosity="executionStats")))

    def _explained(self, compiled: Compiled, filter: Json, collection: str) -> Json:
        command = {
            "find": collection,
            "filter": filter,
            "sort": dict(compiled.sort),
            "hint": compiled.hint,
            "limit": LIMIT,
        }
        found: Json = self.rows.database.command("explain", command, verbosity="executionStats")
        return found


@pytest.fixture(scope="module")
async def filled(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    async with store_on(mongo_uri, "test_explain", tmp_path_factory.mktemp("explain"), FakeClock()) as store:
        resources = [make(number) for make in (patient, observation) for number in range(PEOPLE)]
        resources += [make(number) for make in (risk, location) for number in range(100)]
        stored: list[Stored] = []
        for first in range(0, len(resources), 200):
            stored += await store.resources.commit([writing(one) for one in resources[first : first + 200]])
        with MongoClient[Json](mongo_uri) as client:
            yield Filled(store, client["test_explain"]["resources"], stored)


def stages(plan: Json) -> Iterator[Json]:
    yield plan
    for inner in [*plan.get("inputStages", []), *([plan["inputStage"]] if "inputStage" in plan else [])]:
        yield from stages(inner)


def plans(value: Any) -> Iterator[Json]:
    """Wherever in an explained pipeline they stand."""
    if isinstance(value, dict):
        if "winningPlan" in value:
            yield value
        for child in value.values():
            yield from plans(child)
    elif isinstance(value, list):
        for child in value:
            yield from plans(child)


def scans(explained: Json) -> list[Json]:
    return [stage for stage in stages(explained["queryPlanner"]["winningPlan"]) if stage["stage"] == "IXSCAN"]


def asked(type: str, query: str) -> Query:
    return parse(type, [(name, value) for name, _, value in (each.partition("=") for each in query.split("&") if each)])


SEARCHES = [
    ("Patient", "", 1),
    ("Patient", "family=bera", 1),
    ("Patient", "family:exact=Beramann", 1),
    ("Patient", "name=be,ma", 2),
    ("Patient", "gender=female", 1),
    ("Patient", "identifier=urn:mrn|M77", 1),
    ("Patient", "birthdate=1977-12-20", 1),
    ("Patient", "birthdate=ge1980-03-05&birthdate=lt1993-10-07", 180),
    ("Patient", "birthdate=gt1980", 180),
    ("Patient", "_profile=http://x.example/P1", 1),
    ("Patient", "_lastUpdated=ge2000", 1),
    ("Patient", "gender=female&_sort=-_lastUpdated", 1),
    ("Observation", "code=http://loinc.org|C7", 1),
    ("Observation", "subject=Patient/p0077", 4),
    ("Observation", "patient=p0077", 4),
    ("Observation", "date=2015", 1),
    ("Observation", "date=ge2015-02-03&date=le2016-08-09", 180),
    ("Observation", "value-quantity=150", 8),
    ("Observation", "value-quantity=gt150", 180),
    ("Observation", "value-quantity=gt150|http://unitsofmeasure.org|g", 180),
    ("Observation", "code-value-quantity=C7$ge100", 1),
    ("Observation", "status=final", 1),
    ("Patient", "family:contains=mann", 1),
    ("Patient", "_profile:below=http://x.example", 1),
    ("Patient", "identifier:of-type=urn:types|MR|M77", 1),
    ("Observation", "code:text=pressure", 1),
    ("Observation", "code:not=C7", 1),
    ("Observation", "subject:Patient=p0077", 4),
    ("Observation", "subject:identifier=urn:mrn|M77", 4),
    ("Observation", "subject:missing=true", 1),
    ("RiskAssessment", "probability=0.5", 20),
    ("RiskAssessment", "probability=lt0.25", 180),
    ("RiskAssessment", "probability=ap0.5&subject=Patient/p0050", 180),
    ("Location", "near=41|13|60|km", 180),
    ("Location", "near=41|13|60|km&name=x", 180),
]
"""And over how many keywords the look goes at most."""

_TOKENIZER = Tokenizer(bytes(32), 1)
SHARING = [
    (type, query) for type, query, _ in SEARCHES if compile_query(asked(type, query), None, _TOKENIZER).by_tokens_alone
]
_PROJECTIONS = {"PROJECTION_SIMPLE", "PROJECTION_DEFAULT"}


@pytest.mark.parametrize(("type", "query", "keywords"), SEARCHES)
async def test_each_kind_of_search_walks_the_index_and_stops_when_the_page_is_full(
    filled: Filled, type: str, query: str, keywords: int
) -> None:
    [explained] = filled.explained(asked(type, query))

    kinds = {stage["stage"] for stage in stages(explained["queryPlanner"]["winningPlan"])}
    assert kinds <= {"LIMIT", "FETCH", "IXSCAN", "SORT_MERGE"}, "no collection is scanned, nothing is sorted"
    assert {scan["indexName"] for scan in scans(explained)} == {"tokens_seq"}
    assert len(scans(explained)) <= keywords
    # A row may be met once under each of its keywords; a page reads one key more than it shows.
    assert explained["executionStats"]["totalKeysExamined"] <= 4 * LIMIT + 2 * keywords
    assert explained["executionStats"]["totalDocsExamined"] <= 4 * LIMIT


@pytest.mark.parametrize(("type", "query"), SHARING)
async def test_in_a_shared_command_the_same_index_is_taken_without_a_hint(
    filled: Filled, type: str, query: str
) -> None:
    plans = filled.explained_together([asked(type, query), asked("Patient", "identifier=M78")])

    assert len(plans) == 2
    for plan in plans:
        kinds = {stage["stage"] for stage in stages(plan["winningPlan"])}
        assert kinds <= {"LIMIT", "FETCH", "IXSCAN", "SORT_MERGE", *_PROJECTIONS}
        assert {stage["indexName"] for stage in stages(plan["winningPlan"]) if "indexName" in stage} == {"tokens_seq"}
        assert plan["rejectedPlans"] == [], "nothing else is even tried"


async def test_searches_that_arrive_together_find_what_each_finds_alone(filled: Filled) -> None:
    queries = [asked(type, query) for type, query, _ in SEARCHES]
    alone = [await filled.store.resources.find(query, None, LIMIT) for query in queries]

    together = await asyncio.gather(*(filled.store.resources.find(query, None, LIMIT) for query in queries * 2))

    assert [[each.key for each in found.matches] for found in together] == [
        [each.key for each in found.matches] for found in alone * 2
    ]
    assert [found.position for found in together] == [found.position for found in alone * 2]
    assert len(SHARING) > len(SEARCHES) / 2


def test_what_another_index_could_serve_does_not_share() -> None:
    apart = ("_id=p0001", "gender=female&name=ann", "_sort=_id", "identifier=M7&gender=female")

    assert not any(compile_query(asked("Patient", each), None, _TOKENIZER).by_tokens_alone for each in apart)


@pytest.mark.parametrize(
    ("type", "query", "most"),
    [
        ("Patient", "gender=female&name=ann&identifier=M77", 2),
        ("Patient", "active=true&gender=male&family=beramann&birthdate=1930-01-01", 20),
        ("Patient", "birthdate=1980&gender=male", 40),
        ("Observation", "status=final&code=C7&patient=p0027", 4),
        ("Observation", "code=C7&date=2017-04-08", 60),
        ("Observation", "status=final&value-quantity=ge10&code=C7&subject=Patient/p0067", 4),
        ("Patient", "gender:not=male&_profile:missing=false&birthdate=1950-09-21", 20),
    ],
)
async def test_the_hard_mixes_go_by_what_tells_most(filled: Filled, type: str, query: str, most: int) -> None:
    [explained] = filled.explained(asked(type, query))

    assert {stage["stage"] for stage in stages(explained["queryPlanner"]["winningPlan"])} <= {
        "LIMIT",
        "FETCH",
        "IXSCAN",
        "SORT_MERGE",
    }
    assert explained["executionStats"]["totalDocsExamined"] <= most
    assert len(explained["queryPlanner"]["rejectedPlans"]) <= 2, "what tells little is not even tried"


async def test_the_most_telling_token_is_the_one_that_is_looked_up(filled: Filled) -> None:
    [explained] = filled.explained(asked("Patient", "gender=female&active=true&identifier=M77"))

    token = filled.tokenizer.token("Patient.identifier", "m77")
    [scan] = scans(explained)
    assert scan["indexBounds"]["tokens"] == [f"[{token}, {token}]"]
    assert explained["queryPlanner"]["rejectedPlans"] == []


async def test_a_compartment_is_looked_up_by_one_keyword(filled: Filled) -> None:
    for compartment in ("Patient/p0077", "Encounter/e77"):
        query = Query("Observation").must(Mandate(InCompartment(compartment), "smart.compartment"))
        [explained] = filled.explained(query)
        assert explained["executionStats"]["totalKeysExamined"] <= LIMIT
        assert len(scans(explained)) == 1


async def test_a_later_page_begins_where_the_earlier_one_ended(filled: Filled) -> None:
    after = Position(filled.stored[500].seq, str(filled.stored[500].key))

    for sort in ("_lastUpdated", "-_lastUpdated"):
        [explained] = filled.explained(asked("Patient", f"gender=female&_sort={sort}"), after)
        assert explained["executionStats"]["totalKeysExamined"] <= LIMIT + 2
    [by_id] = filled.explained(asked("Patient", "_sort=_id"), Position(0, "Patient/p0500"))
    assert by_id["executionStats"]["totalKeysExamined"] <= LIMIT + 1
    assert [scan["indexName"] for scan in scans(by_id)] == ["_id_"]


async def test_ids_are_looked_up_by_id(filled: Filled) -> None:
    [explained] = filled.explained(asked("Patient", "_id=p0001,p0002,nobody&gender=male"))

    assert {scan["indexName"] for scan in scans(explained)} == {"_id_"}
    assert explained["executionStats"]["totalDocsExamined"] == 2


async def test_a_thousand_references_are_looked_up_in_pieces_that_are_merged(filled: Filled) -> None:
    keys = frozenset(f"Patient/p{number:04}" for number in range(PEOPLE))
    among = Filter(ValueIn("subject", (ReferenceAmong(keys, frozenset(), ""),)), ("", ""))

    explained = filled.explained(replace(Query("Observation"), filters=(among,)))

    assert len(explained) == -(-PEOPLE // MOST_KEYWORDS)
    for each in explained:
        assert "SORT" not in {stage["stage"] for stage in stages(each["queryPlanner"]["winningPlan"])}
        assert len(scans(each)) <= MOST_KEYWORDS
        assert each["executionStats"]["totalKeysExamined"] <= 2 * MOST_KEYWORDS


async def test_what_lies_below_a_code_is_looked_up_by_its_codes(filled: Filled) -> None:
    """All codes of a CodeSystem are too many for one look, and are asked for in pieces that are merged."""
    few, many = (CodeSet.of("http://loinc.org", (f"C{n}" for n in range(number))) for number in (2, 2 * MOST_KEYWORDS))
    below_few, below_many = (
        replace(Query("Observation"), filters=(Filter(ValueIn("code", (TokenAmong(each),)), ("", "")),))
        for each in (few, many)
    )

    (explained,) = filled.explained(below_few)
    pieces = filled.explained(below_many)

    assert explained["executionStats"]["totalKeysExamined"] <= 2 * LIMIT
    assert len(pieces) == 2
    for each in (explained, *pieces):
        assert {scan["indexName"] for scan in scans(each)} == {"tokens_seq"}
        assert "SORT" not in {stage["stage"] for stage in stages(each["queryPlanner"]["winningPlan"])}


async def test_a_row_stays_far_from_the_databases_limits(filled: Filled) -> None:
    """16 MB a document; an array as long as the keywords that a resource may have is a small part of it."""
    [largest] = filled.rows.aggregate(
        [{"$group": {"_id": None, "most": {"$max": {"$size": "$tokens"}}, "bytes": {"$max": {"$bsonSize": "$$ROOT"}}}}]
    )

    assert largest["most"] < 60
    assert largest["bytes"] < 4096


async def test_the_log_has_an_index_of_its_own_and_is_not_scanned_either(filled: Filled) -> None:
    await filled.store.audit.append([Noted(f"word {number}", patient=f"p{number % 9}") for number in range(90)])
    await filled.store.events.index()

    for query, keys in (("patient=p7", 10), ("action=R", LIMIT), ("", LIMIT), ("_sort=-_lastUpdated", LIMIT)):
        [explained] = filled.explained(asked("AuditEvent", query), collection="audit_index")
        kinds = {stage["stage"] for stage in stages(explained["queryPlanner"]["winningPlan"])}
        assert kinds <= {"LIMIT", "FETCH", "IXSCAN", "SORT_MERGE"}
        assert {scan["indexName"] for scan in scans(explained)} == {"tokens"}
        assert explained["executionStats"]["totalKeysExamined"] <= keys + 1
