"""The entries of a bundle: each understood, or refused with its place."""

from typing import Any

import pytest

from fhir_server.engine.bundle_entries import Entry, at_entry, entries, listed
from fhir_server.engine.entry_conditions import version_in
from fhir_server.kernel.errors import (
    FhirError,
    InvalidRequestError,
    NotFoundError,
    TooCostlyError,
    TooLargeError,
    UnprocessableError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

PATIENT = {"resourceType": "Patient"}


def entry(method: Any = "POST", url: Any = "Patient", **more: Any) -> Json:
    return {"request": {"method": method, "url": url}, "resource": PATIENT, **more}


def parsed(*found: Any, most: int = 10) -> list[Entry]:
    return entries({"entry": list(found)}, most)


def test_each_entry_has_its_place_method_and_key() -> None:
    found = parsed(
        entry(fullUrl="urn:uuid:1"),
        entry("PUT", "Patient/7"),
        entry("DELETE", "/Patient/8/"),
        entry("GET", "Patient?name=x"),
        entry("GET", "Patient/7/_history/2"),
        entry("PUT", "Patient?identifier=1"),
        entry("DELETE", "Patient?identifier=1"),
    )

    assert [(one.index, one.method, one.key, one.target.query, one.criteria, one.target.version) for one in found] == [
        (0, "POST", None, "", "", None),
        (1, "PUT", ResourceKey("Patient", "7"), "", "", None),
        (2, "DELETE", ResourceKey("Patient", "8"), "", "", None),
        (3, "GET", None, "name=x", "", None),
        (4, "GET", ResourceKey("Patient", "7"), "", "", 2),
        (5, "PUT", None, "identifier=1", "identifier=1", None),
        (6, "DELETE", None, "identifier=1", "identifier=1", None),
    ]
    assert found[0].full_url == "urn:uuid:1"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("Patient?name=x", ("search", "Patient", "", "")),
        ("?_type=Patient", ("search", "", "", "")),
        ("Patient/7/Observation?code=x", ("search", "Patient", "7", "Observation")),
        ("Patient/7/*", ("search", "Patient", "7", "*")),
        ("_history?_count=3", ("history", "", "", "")),
        ("/Patient/_history", ("history", "Patient", "", "")),
        ("Patient/7/_history?_since=2026-01-01T00:00:00Z&_elements=name", ("history", "Patient", "7", "")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_may_name_what_lists_many(method: str, url: str, named: tuple[str, ...]) -> None:
    [found] = parsed(entry(method, url))

    target = found.target
    assert (target.listing, target.type, target.id, target.member) == named
    assert found.key is None
    assert found.criteria == ""


def test_a_bundle_without_entries_has_none() -> None:
    assert entries({}, 10) == []
    assert entries({"entry": []}, 10) == []


def test_if_match_travels_with_its_entry() -> None:
    found = parsed({"request": {"method": "PUT", "url": "Patient/7", "ifMatch": 'W/"3"'}, "resource": PATIENT})

    assert found[0].if_match == 3


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (None, InvalidRequestError),
        ("x", InvalidRequestError),
        ({}, InvalidRequestError),
        ({"request": []}, InvalidRequestError),
        (entry("TRACE"), InvalidRequestError),
        (entry({"$ne": 1}), InvalidRequestError),
        (entry(None), InvalidRequestError),
        (entry(url=None), InvalidRequestError),
        (entry(url=["Patient"]), InvalidRequestError),
        (entry(url=""), NotFoundError),
        (entry(url="Nothing"), NotFoundError),
        (entry(url="$everything"), InvalidRequestError),
        (entry("GET", "Patient/7/$validate"), InvalidRequestError),
        (entry("POST", "Patient/$validate"), InvalidRequestError),
        (entry("POST", "_history"), NotFoundError),
        (entry("PUT", ""), NotFoundError),
        (entry("GET", "metadata"), NotFoundError),
        (entry("GET", "Evidence"), NotFoundError),
        (entry("GET", "Observation/7/Patient"), NotFoundError),
        (entry("GET", "Patient/7/Nothing"), NotFoundError),
        (entry("GET", "Patient/7/_history?name=x"), InvalidRequestError),
        (entry("GET", "Patient/7/_history?_count=0"), InvalidRequestError),
        (entry("GET", "Patient/7?name=x"), InvalidRequestError),
        (entry("GET", "Patient/a b/_history"), InvalidRequestError),
        (entry("DELETE", "Patient/7/_history"), InvalidRequestError),
        (entry("GET", f"Patient?name={'x' * 9_000}"), TooCostlyError),
        (entry(url="http://elsewhere/fhir/Patient"), NotFoundError),
        (entry("POST", "Patient/7"), InvalidRequestError),
        (entry("PUT", "Patient"), InvalidRequestError),
        (entry("PUT", "Patient/a b"), InvalidRequestError),
        (entry("PUT", "Patient/7/x"), InvalidRequestError),
        (entry("PUT", "Patient/7/_history/2"), InvalidRequestError),
        (entry("GET", "Patient/7/_history/x"), InvalidRequestError),
        (entry("GET", "Patient/7/_history/\u0662"), InvalidRequestError),
        (entry("PATCH", "Patient/7", resource=None), InvalidRequestError),
        (entry("DELETE", "Patient/" + "x" * 65), InvalidRequestError),
        (entry("POST", resource=None), InvalidRequestError),
        (entry("PUT", "Patient/7", resource=[]), InvalidRequestError),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(bad: Any, error: type[FhirError]) -> None:
    with pytest.raises(error) as refusal:
        parsed(entry(), bad)

    assert all((issue.expression or "").startswith("Bundle.entry[1]") for issue in refusal.value.issues)
    good, why = listed({"entry": [entry(), bad]}, 10)
    assert isinstance(good, Entry)
    assert isinstance(why, error)


def test_entries_are_an_array_and_bounded() -> None:
    with pytest.raises(InvalidRequestError):
        entries({"entry": {}}, 10)
    with pytest.raises(TooLargeError):
        parsed(*[entry()] * 11)
    assert len(parsed(*[entry()] * 10)) == 10


@pytest.mark.parametrize(
    ("tag", "version"), [('W/"3"', 3), ('"3"', 3), ("3", 3), (' W/"12" ', 12), (None, None), ("", None)]
)
def test_a_version_is_read_from_its_tag(tag: str | None, version: int | None) -> None:
    assert version_in(tag) == version


@pytest.mark.parametrize("tag", ["W/", '""', "*", 'W/"x"', '"1", "2"', "-1", "1.5", "\u0663", {"$gt": 1}, True, ["3"]])
def test_a_tag_that_is_none_of_ours_is_refused(tag: object) -> None:
    with pytest.raises(InvalidRequestError):
        version_in(tag)


def test_a_tag_of_thousands_of_digits_is_refused_like_any_other() -> None:
    with pytest.raises(InvalidRequestError):
        version_in(f'W/"{"9" * 5_000}"')


def test_a_version_of_thousands_of_digits_is_refused_like_any_other() -> None:
    with pytest.raises(FhirError):
        parsed(entry("GET", f"Patient/7/_history/{'9' * 5_000}"))


def test_a_fault_points_into_the_bundle() -> None:
    fault = UnprocessableError("no", expression="Patient.name[0].family")
    assert at_entry(fault, 3).issues[0].expression == "Bundle.entry[3].resource.name[0].family"
    assert at_entry(UnprocessableError("no", expression="request.url"), 3).issues[0].expression == (
        "Bundle.entry[3].request.url"
    )
    assert at_entry(UnprocessableError("no"), 3).issues[0].expression == "Bundle.entry[3]"
