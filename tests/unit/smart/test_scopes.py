"""SMART scopes: what a granted text lets its holder do, and above all what it does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.smart.scopes import Reach, Scope, parse, parse_all, reach

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


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation.rs?category=laboratory",
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
        "patient/Observation.rs?",
    ],
)
def test_r_smart_056_a_granular_scope_is_not_taken_for_the_whole_type(text: str) -> None:
    assert parse(text) is None


@settings(max_examples=200)
@given(letters=st.text(LETTERS, max_size=6))
def test_r_smart_044_a_text_of_letters_is_a_scope_exactly_if_it_is_an_ordered_subset(letters: str) -> None:
    ordered = "".join(letter for letter in LETTERS if letter in letters)

    found = parse(f"system/Patient.{letters}")

    assert (found is not None) is (bool(letters) and letters == ordered)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["patient/Observation.r", "user/Patient.cs", "system/*.d", "x", "patient/*.rs"])))
def test_r_smart_051_scopes_unite_and_none_takes_away(texts: list[str]) -> None:
    scopes = parse_all(tuple(texts))
    for letter in LETTERS:
        for type in ("Patient", "Observation", "AuditEvent"):
            alone = {reach([scope], letter, type) for scope in scopes}
            widest = Reach.ALL if Reach.ALL in alone else Reach.PATIENT if Reach.PATIENT in alone else Reach.NONE
            assert reach(scopes, letter, type) is widest


def test_no_scope_means_nothing() -> None:
    for letter in LETTERS:
        assert reach((), letter, "Patient") is Reach.NONE


@pytest.mark.parametrize("context", ["patient", "user", "system"])
def test_r_smart_053_the_log_is_not_under_the_star(context: str) -> None:
    star, named = parse(f"{context}/*.cruds"), parse(f"{context}/AuditEvent.rs")
    assert star
    assert named

    assert reach([star], "r", "AuditEvent") is Reach.NONE
    assert reach([star], "r", "Patient") is not Reach.NONE
    assert reach([named], "r", "AuditEvent") is not Reach.NONE
    assert reach([named], "r", "Patient") is Reach.NONE


def test_r_smart_048_no_letter_implies_another() -> None:
    for granted in LETTERS:
        scopes = parse_all((f"user/Patient.{granted}",))
        assert {letter for letter in LETTERS if reach(scopes, letter, "Patient") is Reach.ALL} == {granted}
