"""Values at the very edge of what R4 allows are searched like others: no type, no parameter fails on them."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.fhir.compartments import memberships, subjects
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from fhir_server.kernel.identity import is_id
from fhir_server.search.extract import index_keywords, search_values
from fhir_server.search.registry import parameters_of
from tests.unit.fhir.specimens import PLAIN, largest, smallest

EXTREMES: dict[str, dict[str, Any]] = {
    "the first instant": {
        "date": "0001",
        "dateTime": "0001-01-01T00:00:00+14:00",
        "instant": "0001-01-01T00:00:00.000000001+14:00",
        "time": "00:00:00",
        "decimal": json.decode(b"1E+245"),
        "integer": -(2**31),
    },
    "the last instant": {
        "date": "9999-12",
        "dateTime": "9999-12-31T23:59:60.999999999999-14:00",
        "instant": "9999-12-31T23:59:60-14:00",
        "decimal": json.decode(b"-1.000E-245"),
        "unsignedInt": 2**31 - 1,
    },
    "the last year": {"date": "9999", "dateTime": "9999", "decimal": json.decode(b"-0")},
    "separators": {"date": "0001-01-01", "string": " ", "uri": "|", "canonical": "|1", "code": "|", "id": "-"},
    "characters": {"string": "\uffff\U0010ffff \u0301\u0301", "uri": "\u00a0", "code": "\u00a0", "markdown": "\ud7ff"},
    "length": {"string": "\u0130\u0131\u017f\u00df" * 5_000, "decimal": json.decode(b"9" * 100 + b"." + b"9" * 90)},
}


@pytest.fixture(params=EXTREMES)
def extreme(request: pytest.FixtureRequest) -> Iterator[None]:
    """The specimens are made of these values for the length of a test."""
    before = dict(PLAIN)
    PLAIN.update(EXTREMES[request.param])
    _forget()
    yield
    PLAIN.clear()
    PLAIN.update(before)
    _forget()


def _forget() -> None:
    smallest.cache_clear()
    largest.cache_clear()


@pytest.mark.usefixtures("extreme")
def test_a_resource_of_any_type_with_such_values_is_indexed_and_filed() -> None:
    for type_name in sorted(served_types()):
        resource = json.decode(json.encode(largest(type_name)))
        validate(resource)

        assert {name.partition(".")[0] for name, _ in index_keywords(resource)} == {type_name}
        assert search_values(resource).keys() <= parameters_of(type_name).by_code.keys()
        assert all("/" in place for place in memberships(resource))
        assert all(map(is_id, subjects(resource)))
