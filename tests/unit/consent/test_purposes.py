"""What a patient can agree to, and its one name."""

import pytest

from fhir_server.consent.purposes import (
    ACT_REASON,
    CARE_PHOTOGRAPHY,
    EMERGENCIES,
    PURPOSES,
    SYSTEM,
    TREATMENT,
    canonical,
    coded,
    from_act_reason,
    is_care,
    is_one,
    needs_consent,
    of_call,
    of_photos,
)
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
        "face-recognition",
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


def test_a_purpose_of_ours_is_told_in_words() -> None:
    assert [(purpose.code, coded(purpose.code)["display"]) for purpose in PURPOSES if " " not in purpose.display] == [
        ("treatment", "Treatment"),
        ("research", "Research"),
        ("marketing", "Marketing"),
    ]
    assert coded("research") == {"system": ACT_REASON, "code": "HRESCH", "display": "Research"}
    assert coded("photo-social") == {
        "system": SYSTEM,
        "code": "photo-social",
        "display": "Photographs on social media",
    }


PAYMENT, RUNNING, LAW = (f"{ACT_REASON}|{code}" for code in ("HPAYMT", "HOPERAT", "HLEGAL"))
BTG, ETREAT = f"{ACT_REASON}|BTG", f"{ACT_REASON}|ETREAT"


@pytest.mark.parametrize(
    ("asked", "of_a_photo"),
    [
        (TREATMENT, CARE_PHOTOGRAPHY),
        (PAYMENT, CARE_PHOTOGRAPHY),
        (CARE_PHOTOGRAPHY, CARE_PHOTOGRAPHY),
        ("marketing", "photo-marketing"),
        ("photo-social", "photo-social"),
        ("research", "research"),
        ("urn:x|research", CARE_PHOTOGRAPHY),
    ],
)
def test_whoever_asks_for_none_of_our_purposes_asks_for_photos_in_care(asked: str, of_a_photo: str) -> None:
    assert of_photos(asked) == of_a_photo


def test_to_administer_a_patients_care_is_to_treat_them() -> None:
    assert [of_call(code) for code in ("PATADMIN", "TREAT", "HRESCH", "HPAYMT")] == [
        *(TREATMENT, TREATMENT, "research", PAYMENT)
    ]


def test_only_consent_allows_what_law_and_care_do_not() -> None:
    asked = (TREATMENT, CARE_PHOTOGRAPHY, "research", PAYMENT, LAW, BTG, "urn:x|y", f"{ACT_REASON}-else|y")

    assert [purpose for purpose in asked if not needs_consent(purpose)] == [TREATMENT, PAYMENT, LAW, BTG]
    assert [purpose for purpose in (*asked, ETREAT) if is_care(purpose)] == [TREATMENT, BTG, ETREAT]


@pytest.mark.parametrize(
    "named",
    [
        {"research"},
        {PAYMENT},
        {TREATMENT, PAYMENT},
        {TREATMENT, RUNNING},
        {TREATMENT, PAYMENT, RUNNING},
        EMERGENCIES,
    ],
)
def test_what_is_asked_for_together_is_one_purpose(named: set[str]) -> None:
    assert is_one(named)
    assert not is_one({*named, None})
    assert not is_one({*named, "training"})


def test_several_purposes_are_not_one() -> None:
    assert not is_one(())
    assert not is_one({None})
    for several in ({PAYMENT, RUNNING}, {TREATMENT, BTG}, {*EMERGENCIES, TREATMENT}, {TREATMENT, LAW}):
        assert not is_one(several)
    assert is_one(["research", "research"])
