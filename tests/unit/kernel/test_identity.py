"""Ids, references, instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel.clock import SystemClock, instant, microseconds
from fhir_server.kernel.errors import FhirError, Issue, MethodNotAllowedError, RangeNotSatisfiableError
from fhir_server.kernel.identity import ResourceKey, is_id, parse_reference, random_id


@pytest.mark.parametrize("id", ["a", "A-1.b", "x" * 64, "-", ".", "0"])
def test_an_id_is_1_to_64_plain_characters(id: str) -> None:
    assert is_id(id)


@pytest.mark.parametrize("id", ["", "x" * 65, "a/b", "a b", "a_b", "a\n", "\u00e9", "a$", "{}", "\u0660"])
def test_anything_else_is_none(id: str) -> None:
    assert not is_id(id)


def test_fresh_ids_are_ids_and_differ() -> None:
    made = {random_id() for _ in range(100)}

    assert len(made) == 100
    assert all(is_id(one) for one in made)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Patient/7", ResourceKey("Patient", "7")),
        ("Patient/7/_history/2", ResourceKey("Patient", "7")),
        ("http://x/Patient/7", None),
        ("urn:uuid:1", None),
        ("#p1", None),
        ("Patient?name=x", None),
        ("Patient/7/name", None),
        ("patient/7", None),
        ("Patient/", None),
        ("Patient/7\n", None),
        ("/Patient/7", None),
        ("Patient/7#x", None),
    ],
)
def test_only_a_relative_reference_is_a_key(text: str, key: ResourceKey | None) -> None:
    assert parse_reference(text) == key


def test_a_key_is_written_as_a_reference() -> None:
    assert str(ResourceKey("Patient", "7")) == "Patient/7"


def test_an_instant_is_utc_to_the_millisecond_and_never_in_the_future() -> None:
    moment = datetime(2026, 3, 14, 10, 26, 53, 589999, tzinfo=timezone(timedelta(hours=1)))

    assert instant(moment) == "2026-03-14T09:26:53.589Z"


@settings(max_examples=50)
@given(micros=st.integers(0, 4_000_000_000_000_000))
def test_microseconds_are_exact(micros: int) -> None:
    assert microseconds(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)) == micros


def test_the_system_clock_speaks_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_an_error_explains_itself_in_fhirs_words() -> None:
    assert FhirError("why", expression="Patient.name").issues == (Issue("exception", "why", "Patient.name"),)
    assert FhirError().issues == (Issue("exception", "FhirError"),)
    several = (Issue("required", "a"), Issue("value", "b"))
    assert FhirError(issues=several).issues == several
    assert MethodNotAllowedError("no", allow=["GET"]).allow == ("GET",)
    assert RangeNotSatisfiableError(7).length == 7
