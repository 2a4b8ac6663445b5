"""SMART scopes: what a granted text lets its holder do, and above all what it does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.smart.scopes import Scope, parse

LETTERS = "cruds"


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("patient/Observation.rs", Scope("patient", "Observation", "rs")),
        ("user/*.cruds", Scope("user", "*", "cruds")),
        ("system/Patient.c", Scope("system", "Patient", "c")),
        ("system/Patient.ds", Scope("system", "Patient", "ds")),
    ],
)
def test_r_smart_044_letters_in_their_order_are_a_scope(text: str, scope: Scope) -> None:
    assert parse(text) == scope


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation.dus",
        "patient/Observation.rsx",
        "patient/Observation.unknownAction",
        "patient/Observation.sr",
        "patient/Observation.rr",
        "patient/Observation.",
        "patient/Observation",
        "patient/.rs",
        "patient/observation.rs",
        "patient/Observation.RS",
        "patient/Observation.rs ",
        "patient/Observation.rs\n",
        "\npatient/Observation.rs",
        "Patient/Observation.rs",
        "launch",
        "launch/patient",
        "openid",
        "offline_access",
        "fhirUser",
        "",
        "*/*.*",
        "system/*.*.read",
        "system/**.rs",
        "system/Pat*.rs",
        "system/Patient.readwrite",
        "other/Patient.rs",
    ],
)
def test_r_smart_045_anything_else_grants_nothing(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(("word", "letters"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
def test_r_smart_046_words_of_version_1_are_read_whole(word: str, letters: str) -> None:
    assert parse(f"patient/Observation.{word}") == Scope("patient", "Observation", letters)


LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.parametrize(
    "query",
    [f"category={LAB}", f"category={LAB.replace('|', '%7C').replace(':', '%3A')}", "category=laboratory&status=final"],
)
def test_r_smart_056_a_granular_scope_is_understood_raw_and_percent_encoded(query: str) -> None:
    scope = parse(f"patient/Observation.rs?{query}")

    assert scope is not None
    assert scope.letters == "rs"
    assert len(scope.limits) == query.count("&") + 1


def test_r_smart_056_both_spellings_mean_the_same() -> None:
    raw, encoded = (parse(f"patient/Observation.rs?category=http://x{bar}lab") for bar in ("|", "%7C"))

    assert raw is not None
    assert raw == encoded


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?category=,",
        "patient/Observation.rs?category=a&",
        "patient/Observation.rs?nonsense=a",
        "patient/Observation.rs?category=a&nonsense=b",
        "patient/Observation.rs?category:not=a",
        "patient/Observation.rs?category:missing=false",
        "patient/Observation.rs?category:text=a",
        "patient/Observation.rs?subject.name=a",
        "patient/Observation.rs?_has:Provenance:target:agent=a",
        "patient/Observation.rs?_count=1",
        "patient/Observation.rs?_sort=_id",
        "patient/Observation.rs?date=yesterday",
        "patient/Observation.read?category=a",
        "patient/Nothing.rs?category=a",
        "patient/*.rs?category=a",
        f"patient/Observation.rs?category={'a' * 3000}",
        "patient/Observation.rs?" + "&".join(["category=a"] * 11),
    ],
)
def test_r_smart_062_a_granular_scope_that_is_not_understood_grants_nothing(text: str) -> None:
    assert parse(text) is None


def test_a_scope_for_all_types_is_limited_by_what_all_types_have() -> None:
    scope = parse("user/*.rs?_tag=a|b")

    assert scope is not None
    assert scope.covers("r", "Observation")
    assert not scope.covers("r", "AuditEvent")


@settings(max_examples=200)
@given(letters=st.text(LETTERS, max_size=6))
def test_r_smart_044_a_text_of_letters_is_a_scope_exactly_if_it_is_an_ordered_subset(letters: str) -> None:
    ordered = "".join(letter for letter in LETTERS if letter in letters)

    found = parse(f"system/Patient.{letters}")

    assert (found is not None) is (bool(letters) and letters == ordered)


@pytest.mark.parametrize("context", ["patient", "user", "system"])
def test_r_smart_053_the_log_is_not_under_the_star(context: str) -> None:
    star, named = parse(f"{context}/*.cruds"), parse(f"{context}/AuditEvent.rs")
    assert star
    assert named

    assert not star.covers("r", "AuditEvent")
    assert star.covers("r", "Patient")
    assert named.covers("r", "AuditEvent")
    assert not named.covers("r", "Patient")
