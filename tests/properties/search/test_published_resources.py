"""Every published resource is found by each of its own values, through the index and exactly."""

from collections.abc import Iterator

from fhir_server.kernel.json import Json
from fhir_server.search.extract import index_keywords, search_values
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.plan import plan
from fhir_server.search.types.date import DateValue
from fhir_server.search.types.escapes import escape
from fhir_server.search.types.kind import Value
from fhir_server.search.types.number import NumberValue
from fhir_server.search.types.quantity import QuantityValue
from fhir_server.search.types.reference import ReferenceValue
from fhir_server.search.types.string import StringValue
from fhir_server.search.types.token_values import TokenValue
from fhir_server.search.types.uri import UriValue
from tests.unit.search.asking import candidate, within
from tests.unit.search.samples import published

_DAYS = ("ge1000", "le9999", "ne2500")
_NUMBERS = ("gt-1e300", "lt1e300", "ne-77777")


def asked_of(value: Value) -> Iterator[str]:
    """Some of the ways in which a client may write a query that this value meets."""
    match value:
        case StringValue(text):
            yield from (escape(text), escape(text[:3]), escape(text.upper()))
        case TokenValue(system, code):
            yield from (escape(code), f"{escape(system)}|{escape(code)}") if code else (f"{escape(system)}|",)
        case ReferenceValue(url) if url:
            yield escape(url)
        case UriValue(uri):
            yield escape(uri)
        case DateValue():
            yield from _DAYS
        case QuantityValue() | NumberValue():
            yield from _NUMBERS
        case _:
            pass


def test_a_resource_is_found_by_each_of_its_values() -> None:
    asked = 0
    for resource in published():
        keywords = index_keywords(resource)
        for code, text in _queries(resource):
            query = parse(resource["resourceType"], [(code, text)])
            assert matches(query, candidate(resource)), f"{resource['resourceType']}?{code}={text}"
            assert all(within(group, keywords) for group in plan(query)), f"{resource['resourceType']}?{code}={text}"
            asked += 1

    assert asked > 5000


def _queries(resource: Json) -> set[tuple[str, str]]:
    return {
        (code, text)
        for code, values in search_values(resource).items()
        for value in values
        for text in asked_of(value)
        if text.strip() and len(text) < 8000
    }
