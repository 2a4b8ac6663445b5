"""Who may sign for whom, and what the law of the place forbids."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_server.consent.answers import Decision
from fhir_server.consent.evidence import Facts, consent
from fhir_server.consent.form import Question, form_of, forms, text_of
from fhir_server.consent.law import packs
from fhir_server.consent.signature import Sitting
from fhir_server.consent.signers import Who, birthday, is_minor, require_signer
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
GB = packs()["gb"]
ANN = ResourceKey("Patient", "ann")


def sitting(signer: ResourceKey = ANN, **more: Any) -> Sitting:
    signed = {"when": "2026-03-14T12:00:00Z"}
    return Sitting("ann", forms()["care", "en"], {}, signed, signer, **more)


@pytest.mark.parametrize(
    ("born", "of_age"),
    [
        ("2008-03-14", date(2026, 3, 14)),
        ("2008-02-29", date(2026, 3, 1)),
        ("2008-02", date(2026, 3, 1)),
        ("2008-04", date(2026, 4, 30)),
        ("2008", date(2026, 12, 31)),
        ("soon", None),
        (None, None),
    ],
)
def test_somebody_comes_of_age_on_the_last_day_that_it_may_be(born: str | None, of_age: date | None) -> None:
    assert birthday({"birthDate": born}, 18) == of_age


def test_a_minor_is_known_to_be_one() -> None:
    assert is_minor({"birthDate": "2008-03-15"}, GB, NOW)
    assert not is_minor({"birthDate": "2008-03-14"}, GB, NOW)
    assert not is_minor({}, GB, NOW)


def test_nobody_signs_as_another_patient() -> None:
    with pytest.raises(UnprocessableError, match="Another patient"):
        require_signer(sitting(ResourceKey("Patient", "ben")), Who({}), [], GB, NOW)


def test_m16_what_the_law_of_the_place_forbids_is_not_signed() -> None:
    """England: no cosmetic injectables below 18, whoever agrees."""
    mother = ResourceKey("RelatedPerson", "m")
    child = {"birthDate": "2010-01-01"}
    person = {"patient": {"reference": "Patient/ann"}}
    paper = {"subject": {"reference": "Patient/ann"}, "status": "current", "date": "2026-01-01"}
    injectables = sitting(mother, treatment="cosmetic-injectables")

    with pytest.raises(UnprocessableError, match="under 18"):
        require_signer(injectables, Who(child, person, paper), [], GB, NOW)
    require_signer(injectables, Who(child, person, paper), [], packs()["fr"], NOW)
    require_signer(sitting(mother, treatment="peeling"), Who(child, person, paper), [], GB, NOW)
    require_signer(sitting(treatment="cosmetic-injectables"), Who({"birthDate": "1980"}), [], GB, NOW)
    assert GB.banned("cosmetic-injectables", 17) is not None
    assert GB.banned("cosmetic-injectables", 18) is None


@pytest.mark.parametrize(
    ("months", "lapses", "end"),
    [
        (None, None, None),
        (1, None, "2026-04-14"),
        (12, None, "2027-03-14"),
        (24, date(2026, 6, 1), "2026-05-31"),
        (1, date(2030, 1, 1), "2026-04-14"),
        (None, date(2026, 6, 1), "2026-05-31"),
    ],
)
def test_a_permission_ends_when_that_was_agreed_or_with_majority(
    months: int | None, lapses: date | None, end: str | None
) -> None:
    decision = Decision(Question("photo-social", "photo-social", "?", None), granted=True, months=months)
    facts = Facts({"display": "Clinic"}, "urn:policy", NOW, lapses)

    made = consent(ResourceKey("Consent", "c"), sitting(), decision, ResourceKey("DocumentReference", "d"), facts)

    assert made["provision"]["period"].get("end") == end


@pytest.mark.parametrize(("day", "months", "end"), [("2026-01-31", 1, "2026-02-28"), ("2027-12-31", 2, "2028-02-29")])
def test_a_month_without_that_day_ends_on_its_last(day: str, months: int, end: str) -> None:
    at = Sitting("ann", forms()["care", "en"], {}, {"when": f"{day}T10:00:00Z"}, ANN)
    decision = Decision(Question("training", "training", "?", None), granted=True, months=months)
    facts = Facts({"display": "Clinic"}, "urn:policy", NOW, None)

    made = consent(ResourceKey("Consent", "c"), at, decision, ResourceKey("DocumentReference", "d"), facts)

    assert made["provision"]["period"]["end"] == end


@pytest.mark.parametrize(
    ("language", "taking", "keeping"), [("en", "Taking", "Keeping"), ("fr", "Prise", "Conservation")]
)
def test_t_81_the_notice_states_the_taking_and_the_keeping_of_photographs_each_by_itself(
    language: str, taking: str, keeping: str
) -> None:
    items = forms()["care", language].items

    assert items["care-photography.taking"]["text"].startswith(taking)
    assert items["care-photography.keeping"]["text"].startswith(keeping)


def test_t105_a_text_that_was_in_use_can_still_be_had_and_no_other() -> None:
    now, before = text_of("care", "en", ""), text_of("care", "en", "2026-01")

    assert now is forms()["care", "en"]
    assert before is not None
    assert (before.version, before.sha256 == now.sha256) == ("2026-01", False)
    assert text_of("care", "en", "2020-01") is None
    assert text_of("nothing", "en", "") is None
    with pytest.raises(UnprocessableError, match="version"):
        form_of(before.canonical, "en")


def test_s103_every_form_is_valid_in_both_languages_and_nothing_is_ticked() -> None:
    codes = {code for code, _ in forms()}
    assert codes == {"care", "photo-followup", "marketing", "communications"}
    for (code, language), form in forms().items():
        validate(form.questionnaire)
        other = forms()[code, "fr" if language == "en" else "en"]
        assert form.items.keys() == other.items.keys()
        assert form.version == other.version
        assert [q.purpose for q in form.questions] == [q.purpose for q in other.questions]
        assert "initial" not in str(form.questionnaire)
        assert "initialSelected" not in str(form.questionnaire)
        assert form.items["understood"]["required"] is True
        assert len(form.sha256) == 64
        assert form_of(form.canonical, language) is form
