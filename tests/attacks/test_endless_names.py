"""A name of half a million words: each word used to begin a copy of all that follows it, more than memory holds."""

from fhir_server.fhir.primitives import MOST_CHARACTERS
from fhir_server.search.extract import index_keywords, search_values
from fhir_server.search.types.string import StringValue

ENDLESS = {"resourceType": "Patient", "name": [{"text": "a " * (MOST_CHARACTERS // 2)}]}


def test_what_is_kept_of_it_is_little_more_than_itself() -> None:
    [value] = search_values(ENDLESS)["name"]

    assert isinstance(value, StringValue)
    assert sum(map(len, value.starts)) < 2 * MOST_CHARACTERS


def test_it_is_found_by_a_few_keywords() -> None:
    assert len(index_keywords(ENDLESS)) < 100
