"""Each kind of check, kept and broken; who stands under another body is not judged by it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.professions.body import bodies
from fhir_server.professions.judging import (
    Agreed,
    Finding,
    Noted,
    Person,
    Prescribed,
    Treated,
    of_prescription,
    of_treatment,
)
from fhir_server.professions.membership import memberships
from tests.unit.professions.people import member, practitioner, qualification

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ME = "Practitioner/me"
CONSENT = Agreed("Consent/c/_history/1", ("treatment",), ME)
NOTE = Noted("Procedure/p", ME, "2026-11-23T12:05:00Z")
WHOLE = Treated(NOW, True, (CONSENT,), (NOTE,), {"birthDate": "1990-01-01"})  # noqa: FBT003  as it is declared


def person(resource: dict[str, Any]) -> Person:
    return Person(ME, memberships(resource, bodies()))


def treated(*codes: str, **facts: Any) -> dict[str, Finding]:
    whole = {name: getattr(WHOLE, name) for name in WHOLE.__slots__} | facts
    return {one.rule.id: one for one in of_treatment(person(member(*codes)), Treated(**whole))}


def prescribed(code: str, *met: str, at: datetime | None = NOW) -> dict[str, Finding]:
    told = Prescribed("MedicationRequest/m", at, met)
    return {one.rule.id: one for one in of_prescription(person(member(code)), told)}


@pytest.mark.parametrize("code", ["GMC", "GDC", "NMC", "CNOM"])
def test_t_28_what_is_whole_keeps_every_rule(code: str) -> None:
    found = {**treated(code), **prescribed(code, "Encounter/e")}

    assert len(found) >= 3
    assert {one.severity for one in found.values()} == {"information"}
    assert all(one.who == ME and one.body.code == code for one in found.values())


def test_t_5_a_doctor_of_the_gmc_examines_asks_for_the_consent_and_treats_adults() -> None:
    other = Agreed("Consent/c/_history/1", ("treatment",), "Practitioner/other")

    assert prescribed("GMC")["gmc-examined"].severity == "error"
    assert treated("GMC", consents=[other])["gmc-own-consent"].severity == "warning"
    assert "taken down by who treated" in treated("GMC", consents=[other])["gmc-own-consent"].missing
    assert treated("GMC", patient={"birthDate": "2009-01-01"})["gmc-adult"].severity == "error"


def test_t_6_a_dental_professional_prescribes_nothing_from_afar_and_has_a_consent() -> None:
    other = Agreed("Consent/c/_history/1", ("treatment",), "")

    assert prescribed("GDC")["gdc-examined"].severity == "error"
    assert treated("GDC", consents=[])["gdc-consent"].severity == "error"
    assert treated("GDC", consents=[other])["gdc-consent"].evidence == (other.reference,)


def test_t_7_a_nurse_meets_face_to_face_and_attributes_entries() -> None:
    assert prescribed("NMC")["nmc-examined"].severity == "error"
    assert prescribed("NMC", "Encounter/e")["nmc-examined"].evidence == ("Encounter/e",)
    assert treated("NMC", notes=[])["nmc-record"].severity == "warning"


def test_t_7_what_was_prescribed_before_the_position_held_is_not_judged_by_it() -> None:
    assert "nmc-examined" not in prescribed("NMC", at=datetime(2025, 5, 31, 12, tzinfo=UTC))
    assert "nmc-examined" in prescribed("NMC", at=datetime(2025, 6, 1, tzinfo=UTC))


def test_a_prescription_without_a_date_is_judged_by_what_holds_today() -> None:
    assert set(prescribed("NMC", at=None)) == {"nmc-examined"}


def test_t_28_nobody_is_judged_by_another_body() -> None:
    assert {one.partition("-")[0] for one in treated("NMC")} == {"nmc"}
    assert {one.partition("-")[0] for one in treated("NMC", "GMC")} == {"nmc", "gmc"}
    assert list(of_treatment(person({"resourceType": "Practitioner"}), WHOLE)) == []


@pytest.mark.parametrize("code", ["GMC", "GDC", "NMC", "CNOM"])
def test_without_a_current_number_the_registration_lacks(code: str) -> None:
    ended = person(practitioner(qualification(code)))

    found = {one.rule.kind: one for one in of_treatment(ended, WHOLE)}
    of_request = {one.rule.kind: one for one in of_prescription(ended, Prescribed("MedicationRequest/m", NOW, ()))}

    assert found["registered"].severity == "error"
    assert found["registered"].missing == of_request["registered"].missing
    assert treated(code)[f"{code.lower()}-registered"].evidence == (ME,)


def test_a_consent_to_something_else_is_none_to_treatment() -> None:
    photo = Agreed("Consent/c/_history/1", ("care-photography",), ME)

    assert "No consent to treatment" in treated("GMC", consents=[photo])["gmc-own-consent"].missing
    assert treated("GMC", consents=[photo, CONSENT])["gmc-own-consent"].missing == ""


@pytest.mark.parametrize(
    "notes", [[], [Noted("Procedure/p", "", "2026")], [Noted("Procedure/p", ME, "")]], ids=["none", "nobody", "undated"]
)
def test_a_note_says_who_and_when(notes: list[Noted]) -> None:
    assert treated("GDC", notes=notes)["gdc-record"].missing == "No note says who made it and when."
    assert treated("GDC", notes=[*notes, NOTE, NOTE])["gdc-record"].evidence == (NOTE.reference,)


def test_the_age_is_that_of_the_day_and_asked_of_injectables_alone() -> None:
    day = NOW - timedelta(days=1)
    turned = {"birthDate": "2008-11-23"}

    assert treated("GMC", patient=turned)["gmc-adult"].missing == ""
    assert "under 18" in treated("GMC", patient=turned, begun=day)["gmc-adult"].missing
    assert "not on record" in treated("GMC", patient={})["gmc-adult"].missing
    assert "gmc-adult" not in treated("GMC", patient=turned, begun=day, injectable=False)


def test_what_the_server_keeps_by_itself_is_met_and_says_how() -> None:
    found = treated("GMC", consents=[], notes=[])["gmc-recordings"]

    assert found.missing == ""
    assert "consent" in found.rule.by
