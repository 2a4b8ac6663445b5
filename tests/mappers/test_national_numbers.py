"""Numbers of a state: check digits, qualified identities, and what is said of those that are not carried. T42, S115."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel.national_numbers import SCHEMES
from mappers.mapping.national_numbers import INS_NIR, NHS, NO_NUMBER, NOT_QUALIFIED, SEVERAL, is_ins, is_nhs_number
from mappers.runtime.overlay import first, overlaid
from tests.mappers.golden import named

QUALIFIED, INS = "hl7v2/adt-a28-qualified-ins", "287029935100122"
NIR_CHECK = next(scheme for scheme in SCHEMES if scheme.name.startswith("NIR"))
NHS_CHECK = next(scheme for scheme in SCHEMES if scheme.name.startswith("NHS"))


def mapped(name: str, before: str = "", after: str = "") -> tuple[dict[str, Any], set[str]]:
    """The Patient as the message says, a part of it replaced, and why of what is lost."""
    case = named(name)
    assert before.encode() in case.message.raw
    raw = case.message.raw.replace(before.encode(), after.encode()) if before else case.message.raw
    found = replace(case, message=replace(case.message, raw=raw)).mapped()
    [patient] = [one["resource"] for one in found.bundle["entry"] if one["resource"]["resourceType"] == "Patient"]
    return patient, {loss.why for loss in found.losses}


def by_system(patient: dict[str, Any]) -> dict[str, Any]:
    return {one["system"]: one for one in patient["identifier"]}


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[0-9]{10}", fullmatch=True))
def test_an_nhs_number_is_known_by_its_check_digit(text: str) -> None:
    assert is_nhs_number(text) == NHS_CHECK.check(text)


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])([0-9]{2}|2A|2B)[0-9]{6}", fullmatch=True))
def test_an_ins_has_one_key_of_a_hundred(text: str) -> None:
    keys = [key for key in range(100) if is_ins(f"{text}{key:02}")]

    assert len(keys) == 1
    assert NIR_CHECK.check(f"{text}{keys[0]:02}")


@pytest.mark.parametrize("text", ["", "28702993510012", "2870299351001222", "٢٨٧٠٢٩٩٣٥١٠٠١٢٢", "2870299351A0122"])
def test_what_has_not_the_form_is_no_ins(text: str) -> None:
    assert not is_ins(text)
    assert not is_nhs_number(text)


def test_t42_an_ins_of_a_qualified_identity_is_carried_with_its_use_and_its_state() -> None:
    patient, _ = mapped(QUALIFIED)

    assert by_system(patient)[INS_NIR] == {"use": "official", "system": INS_NIR, "value": INS}
    assert patient["extension"][0]["extension"][0]["valueCoding"]["code"] == "VALI"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("|VALI", "|PROV", NOT_QUALIFIED),
        ("|19870214|", "|1987|", NOT_QUALIFIED),
        (INS, "287029935100123", NO_NUMBER),
        (
            "^^^&1.2.250.1.213.1.4.8&ISO^INS",
            "^^^&1.2.250.1.213.1.4.8&ISO^INS~187029935100172^^^&1.2.250.1.213.1.4.8&ISO^INS",
            SEVERAL,
        ),
    ],
    ids=["provisional", "no whole birth date", "wrong key", "two"],
)
def test_t42_an_ins_that_is_doubtful_is_left_out_and_named(before: str, after: str, why: str) -> None:
    patient, losses = mapped(QUALIFIED, before, after)

    assert INS_NIR not in by_system(patient)
    assert "fr-core-identity-reliability" not in str(patient)
    assert why in losses


def test_t42_an_nhs_number_is_carried_as_its_authority_writes_it_with_how_far_it_was_traced() -> None:
    patient, _ = mapped("hl7v2/adt-a28-nhs-number")

    number = by_system(patient)[NHS]
    assert number["value"] == "9434765919"
    assert number["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "01"


def test_t42_numbers_that_do_not_hold_together_and_those_of_tests_are_left_out() -> None:
    patient, losses = mapped("hl7v2/adt-a28-wrong-numbers")

    assert len(patient["identifier"]) == 1
    assert NO_NUMBER in losses
    assert any("tests" in why for why in losses)


def test_the_newest_word_on_how_sure_an_identity_is_counts() -> None:
    entries = named(QUALIFIED).mapped().bundle["entry"]
    [new] = [one["resource"] for one in entries if one["resource"]["resourceType"] == "Patient"]
    order = [one for one in new["extension"] if "reliability" not in one["url"]]
    before = first({**new, "extension": order})

    laid = overlaid({**before, "id": "1"}, new, part=False)

    assert laid is not None
    assert [one["url"] for one in laid["extension"]].count(new["extension"][0]["url"]) == 1
