"""Rights: scopes unite, the role cuts what they say, and whoever has neither has nothing."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.engine.call import ANONYMOUS, Principal
from fhir_server.search.tree import IdIn, InCompartment, ValueIn
from fhir_server.smart.rights import Rights, purpose_of
from fhir_server.smart.roles import LETTERS
from tests.unit.engine.calls import holder

ANN = InCompartment("Patient/ann")


def person(role: str | None, *scopes: str, **more: object) -> Principal:
    return replace(holder(*scopes), role=role, **more)  # type: ignore[arg-type]  # by name, as the class has them


def test_no_scope_means_nothing() -> None:
    for principal in (holder(), ANONYMOUS, holder("openid", "fhirUser", "launch/patient")):
        for letter in LETTERS:
            assert Rights(principal).on(letter, "Patient") is None
        assert not Rights(principal).anywhere("s")


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["patient/Observation.r", "user/Patient.cs", "system/*.d", "x", "patient/*.rs"])))
def test_r_smart_051_scopes_unite_and_none_takes_away(texts: list[str]) -> None:
    together = Rights(holder(*texts, patient="ann"))
    for letter in LETTERS:
        for type in ("Patient", "Observation", "AuditEvent"):
            alone = [right for text in texts if (right := Rights(holder(text, patient="ann")).on(letter, type))]
            found = together.on(letter, type)
            assert (found is not None) is bool(alone)
            if found:
                assert found.whole is any(right.whole for right in alone)


def test_r_smart_048_no_letter_implies_another() -> None:
    for granted in LETTERS:
        rights = Rights(holder(f"user/Patient.{granted}"))
        assert {letter for letter in LETTERS if rights.on(letter, "Patient")} == {granted}


def test_r_smart_057_granular_scopes_are_alternatives_and_a_whole_one_makes_them_moot() -> None:
    two = Rights(holder("user/Observation.rs?category=a", "user/Observation.r?category=b&status=final"))
    whole = Rights(holder("user/Observation.rs?category=a", "user/Observation.r"))

    reading, searching = two.on("r", "Observation"), two.on("s", "Observation")
    assert reading
    assert searching
    assert [len(option) for option in reading.options] == [1, 2]
    assert [len(option) for option in searching.options] == [1]
    assert all(isinstance(condition, ValueIn) for option in reading.options for condition in option)
    moot, limited = whole.on("r", "Observation"), whole.on("s", "Observation")
    assert moot
    assert moot.whole
    assert limited
    assert not limited.whole


def test_r_smart_052_a_patient_scope_is_the_compartment_and_its_own_limits() -> None:
    right = Rights(holder("patient/Observation.r?category=a", patient="ann")).on("r", "Observation")

    assert right
    [option] = right.options
    assert option[0] == ANN
    assert len(option) == 2


def test_r_smart_053_a_patient_scope_without_a_patient_reaches_nobody() -> None:
    assert Rights(holder("patient/*.rs")).on("r", "Observation") is None
    assert Rights(holder("patient/*.rs")).on("r", "Organization") is None


@pytest.mark.parametrize(
    ("role", "contexts"), [(None, {"system"}), ("practitioner", {"patient", "user"}), ("nobody-has-this", set[str]())]
)
def test_r_smart_053_a_back_end_has_no_use_of_a_persons_scopes_nor_a_person_of_its(
    role: str | None, contexts: set[str]
) -> None:
    found = {
        context
        for context in ("patient", "user", "system")
        if Rights(person(role, f"{context}/Organization.r", patient="ann")).on("r", "Organization")
    }

    assert found == contexts


def test_r_smart_071_whoever_signed_in_may_read_who_they_are() -> None:
    rights = Rights(person("marketing", "openid", "fhirUser", fhir_user="Practitioner/3"))

    reading = rights.on("r", "Practitioner")
    assert reading
    assert reading.options == ((IdIn(frozenset({"3"})),),)
    assert rights.on("u", "Practitioner") is None
    assert rights.on("s", "Practitioner") is None
    assert rights.on("r", "Patient") is None
    assert Rights(person("marketing", "openid", fhir_user="Practitioner/3")).on("r", "Practitioner") is None


@pytest.mark.parametrize(
    ("role", "registered", "purpose"),
    [
        (None, (), "TREAT"),
        (None, ("HRESCH", "TREAT"), "HRESCH"),
        ("practitioner", (), "TREAT"),
        ("receptionist", (), "PATADMIN"),
        ("receptionist", ("TREAT",), "TREAT"),
        ("patient", ("PATRQT", "TREAT"), "PATRQT"),
        ("marketing", ("TREAT",), ""),
        ("marketing", ("TREAT", "HMARKT"), "HMARKT"),
        ("practitioner", ("BTG",), ""),
        (None, ("BTG",), ""),
        ("system", ("ETREAT",), ""),
        (None, ("BTG", "TREAT"), "TREAT"),
        ("unheard-of", ("TREAT",), ""),
    ],
)
def test_r_pcf_013_the_purpose_is_one_that_both_role_and_client_have(
    role: str | None, registered: tuple[str, ...], purpose: str
) -> None:
    assert purpose_of(person(role, purposes=registered)) == purpose


@pytest.mark.parametrize(
    ("fhir_user", "context", "own"),
    [
        ("Patient/ann", None, "ann"),
        ("Patient/ann", "ann", "ann"),
        ("Patient/ann", "ben", None),
        (None, "ann", "ann"),
        (None, None, None),
        ("http://elsewhere/Patient/ann", None, None),
    ],
)
def test_a_patient_is_who_signed_in_whatever_the_context_says(
    fhir_user: str | None, context: str | None, own: str | None
) -> None:
    assert Rights(person("patient", fhir_user=fhir_user, patient=context)).own == own
