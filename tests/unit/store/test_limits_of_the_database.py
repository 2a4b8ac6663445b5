"""What MongoDB cannot hold or would do slowly is bounded before it gets there, and what is within the bounds works."""

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.search.extract import MOST_KEYWORDS, index_keywords
from fhir_server.search.parse import MOST_CHARACTERS, parse
from fhir_server.search.plan import plan
from fhir_server.search.types.kind import MOST_KEYWORDS as MOST_IN_A_GROUP
from tests.contract.clinics import store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

DOCUMENT = 16 * 1024 * 1024
MERGED = 200
"""Beyond so many values of an `$in` MongoDB sorts instead of merging."""


def code_system(concepts: int) -> Json:
    return {
        "resourceType": "CodeSystem",
        "id": "large",
        "status": "active",
        "content": "complete",
        "concept": [{"code": f"c{number}"} for number in range(concepts)],
    }


async def test_a_row_of_as_many_tokens_as_there_may_be_is_stored_and_found(
    mongo_uri: str, database_name: str, tmp_path: Path
) -> None:
    concepts = MOST_KEYWORDS - 20
    async with store_on(mongo_uri, database_name, tmp_path, FakeClock()) as store:
        await store.resources.commit([writing(code_system(concepts))])

        found = await store.resources.find(parse("CodeSystem", [("code", f"c{concepts - 1}")]), None, 10)

    assert [each.key.id for each in found.matches] == ["large"]
    with MongoClient[Json](mongo_uri) as client:
        sizes: dict[str, Any] = {"most": {"$size": "$tokens"}, "bytes": {"$bsonSize": "$$ROOT"}}
        [row] = client[database_name]["resources"].aggregate([{"$project": sizes}])
    assert concepts <= row["most"] <= MOST_KEYWORDS
    assert row["bytes"] < DOCUMENT / 4


def test_a_resource_with_more_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="keywords to be found by"):
        index_keywords(code_system(MOST_KEYWORDS + 1))


@pytest.mark.parametrize("name", ["code", "combo-code", "subject", "value-quantity", "date", "code-value-quantity"])
def test_as_many_alternatives_as_fit_into_a_search_are_merged_and_never_sorted(name: str) -> None:
    one = {"value-quantity": "1", "date": "2020-01-01", "code-value-quantity": "a$1"}.get(name, "1")
    most = 50
    alternatives = ",".join(f"{one}{number % 10}" if name != "date" else f"20{number:02}" for number in range(most))
    assert len(alternatives) < MOST_CHARACTERS

    groups = plan(parse("Observation", [(name, alternatives)]))

    assert max(len(group.any_of) for group in groups) <= MOST_IN_A_GROUP < MERGED
