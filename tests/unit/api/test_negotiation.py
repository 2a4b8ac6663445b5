"""RFC 9110 section 12.5.1 on a Binary: its content, unless FHIR is asked for by name and not liked less."""

import pytest
from starlette.requests import Request

from fhir_server.api.negotiation import wanted
from fhir_server.kernel.errors import NotAcceptableError


def request(accept: str | None, query: str = "") -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("accept", "query", "resource"),
    [
        (None, "", False),
        ("", "", False),
        ("*/*", "", False),
        ("application/*", "", False),
        ("application/pdf", "", False),
        ("image/png", "", False),
        ("text/html, application/xhtml+xml, */*;q=0.8", "", False),
        ("application/fhir+json", "", True),
        ("Application/FHIR+JSON; fhirVersion=4.0", "", True),
        ("application/json", "", True),
        ("application/fhir+json, application/pdf", "", True),
        ("application/fhir+json;q=0.5, application/pdf", "", False),
        ("application/fhir+json, application/pdf;q=0.5", "", True),
        ("application/fhir+json;q=0.5, */*", "", False),
        ("application/fhir+json, */*", "", True),
        ("application/fhir+json;q=0.5, */*;q=0.1", "", True),
        ("application/fhir+json;q=0, */*", "", False),
        ("application/fhir+json;q=0", "", False),
        ("application/fhir+json;q=high", "", True),
        ("application/fhir+json;q=1.000, application/pdf;Q=0.999", "", True),
        ("application/pdf", "_format=json", True),
        ("application/pdf", "_format=application/fhir%2Bjson", True),
        ("application/fhir+json", "_format=application/pdf", False),
    ],
)
def test_the_content_is_given_unless_fhir_is_named(accept: str | None, query: str, resource: bool) -> None:  # noqa: FBT001  a table
    assert wanted(request(accept, query)).resource_of("application/pdf") is resource


@pytest.mark.parametrize("media_type", ["application/json", "application/fhir+json", "application/fhir+json; x=y"])
def test_content_that_is_json_itself_is_had_by_asking_for_anything(media_type: str) -> None:
    assert wanted(request("application/fhir+json")).resource_of(media_type)
    assert not wanted(request("*/*")).resource_of(media_type)


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("application/fhir+xml", ""),
        ("application/xml, text/xml", ""),
        ("*/*", "_format=xml"),
        ("application/fhir+json", "_format=application/fhir%2Bxml"),
    ],
)
def test_nothing_but_xml_is_not_spoken(accept: str, query: str) -> None:
    with pytest.raises(NotAcceptableError):
        wanted(request(accept, query))


def test_many_ranges_cost_little() -> None:
    asked = ", ".join(["application/pdf;q=0.1"] * 5_000)

    assert not wanted(request(asked)).resource_of("application/pdf")
