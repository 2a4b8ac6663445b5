"""What a patient can agree to, and its one name."""

import pytest

from fhir_server.consent.purposes import ACT_REASON, CARE_PHOTOGRAPHY, PURPOSES, SYSTEM, canonical, from_act_reason
from fhir_server.kernel.json import Json


def test_each_purpose_is_named_by_its_own_code() -> None:
    names = [canonical({"system": SYSTEM, "code": purpose.code}) for purpose in PURPOSES]

    assert SYSTEM == "urn:aesthetic-fhir-server:purpose"
    assert names == [purpose.code for purpose in PURPOSES]
    assert names == [
        "treatment",
        CARE_PHOTOGRAPHY,
        "photo-followup",
        "photo-marketing",
        "photo-social",
        "communications",
        "training",
        "research",
        "publication-journal",
        "marketing",
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [("TREAT", "treatment"), ("HMARKT", "marketing"), ("HRESCH", "research"), ("TRAIN", "training")],
)
def test_an_act_reason_that_means_the_same_has_the_same_name(code: str, name: str) -> None:
    assert canonical({"system": ACT_REASON, "code": code}) == from_act_reason(code) == name


def test_any_other_purpose_keeps_its_system() -> None:
    assert canonical({"system": ACT_REASON, "code": "BTG"}) == from_act_reason("BTG") == f"{ACT_REASON}|BTG"
    assert canonical({"system": "urn:x", "code": CARE_PHOTOGRAPHY}) == "urn:x|care-photography"
    assert canonical({"system": SYSTEM, "code": "else"}) == f"{SYSTEM}|else"


@pytest.mark.parametrize(
    "coding",
    [
        {"system": SYSTEM, "code": "*"},
        {"system": ACT_REASON, "code": "PurposeOfUse"},
        {"code": "TREAT"},
        {"system": SYSTEM},
        {"system": "", "code": "x"},
        {"system": SYSTEM, "code": ""},
        {"system": SYSTEM, "code": 7},
        {},
    ],
)
def test_a_purpose_that_could_mean_anything_has_no_name(coding: Json) -> None:
    assert canonical(coding) is None


def test_what_is_no_coding_has_no_name() -> None:
    assert canonical("care-photography") is None
    assert canonical(None) is None
