"""What comes next, decided: row S61, OpenID Connect's prompt and max_age, R-SMART-022 and -023."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.smart.approval import Pending
from fhir_server.smart.signin.sessions import Chosen, SignIn
from fhir_server.smart.signin.steps import (
    FRESH_FOR,
    Step,
    after_proof,
    after_sign_in,
    is_fresh,
    own_patient,
    picks_patients,
)
from fhir_server.smart.signin.users import Password, Totp, User
from tests.fakes.clock import NOW

NURSE = User("u1", "ana", "Ana", ("nurse", "clinical-lead"), "Practitioner/7", NOW, password=Password("h", NOW))
PATIENT = replace(NURSE, roles=("patient",), fhir_user="Patient/p1")
FACTOR = Totp("S", NOW, 0)
MFA = ("pwd", "otp", "mfa")
HOUR = timedelta(hours=1)


def sign_in(*methods: str, **given: Any) -> SignIn:
    return replace(
        SignIn("s1", "u1", True, methods, NOW, NOW, NOW, NOW + HOUR, "", ""),  # noqa: FBT003  complete
        **given,
    )


def pending(**given: Any) -> Pending:
    plain = Pending(
        id="r1",
        client_id="app",
        client_name="App",
        scopes=("openid", "user/Patient.rs"),
        needs_patient=False,
        patient=None,
        encounter=None,
        prompt=(),
        login_hint=None,
        max_age=None,
        ui_locales=(),
        expires=NOW + HOUR,
    )
    return replace(plain, **given)


@pytest.mark.parametrize("patients_by_password", [True, False])
@pytest.mark.parametrize("declined", [True, False])
def test_s61_staff_never_get_by_with_one_factor(*, patients_by_password: bool, declined: bool) -> None:
    step = after_proof(NURSE, sign_in("pwd"), patients_by_password=patients_by_password, declined=declined)

    assert step is Step.ENROL


def test_s61_whoever_is_staff_and_patient_is_staff() -> None:
    both = replace(NURSE, roles=("patient", "receptionist"))

    assert after_proof(both, sign_in("pwd"), patients_by_password=True, declined=True) is Step.ENROL


def test_s61_a_sign_in_by_one_factor_gets_staff_no_further_than_the_door() -> None:
    assert after_sign_in(NURSE, sign_in("pwd", request="r1"), pending(), NOW) is Step.SIGN_IN


@pytest.mark.parametrize(
    ("user", "methods", "setting", "declined", "step"),
    [
        (replace(NURSE, totp=FACTOR), ("pwd",), True, True, Step.SECOND_FACTOR),
        (replace(PATIENT, totp=FACTOR), ("pwd",), True, True, Step.SECOND_FACTOR),
        (replace(NURSE, totp=FACTOR), MFA, True, False, Step.COMPLETE),
        (PATIENT, ("pwd",), True, False, Step.ENROL),
        (PATIENT, ("pwd",), True, True, Step.COMPLETE),
        (PATIENT, ("pwd",), False, True, Step.ENROL),
        (PATIENT, ("hwk", "user", "mfa"), False, False, Step.COMPLETE),
    ],
)
def test_after_a_proof(user: User, methods: tuple[str, ...], *, setting: bool, declined: bool, step: Step) -> None:
    assert after_proof(user, sign_in(*methods), patients_by_password=setting, declined=declined) is step


def test_a_password_for_once_is_replaced_after_the_second_factor_and_before_a_first_one() -> None:
    once = Password("h", NOW, NOW + HOUR)
    known, fresh = replace(NURSE, password=once, totp=FACTOR), replace(NURSE, password=once)

    assert after_proof(known, sign_in("pwd"), patients_by_password=True) is Step.SECOND_FACTOR
    assert after_proof(known, sign_in(*MFA), patients_by_password=True) is Step.NEW_PASSWORD
    assert after_proof(fresh, sign_in("pwd"), patients_by_password=True) is Step.NEW_PASSWORD
    assert after_proof(known, sign_in("hwk", "user", "mfa"), patients_by_password=True) is Step.COMPLETE


def test_without_a_request_there_is_ones_own_page() -> None:
    assert after_sign_in(NURSE, sign_in(*MFA), None, NOW) is Step.ACCOUNT


def test_role_patient_consent_in_this_order() -> None:
    asked = pending(needs_patient=True)
    none, role = sign_in(*MFA), sign_in(*MFA, chosen=Chosen("r1", "nurse"))
    both = sign_in(*MFA, chosen=Chosen("r1", "nurse", "p1"))

    assert [after_sign_in(NURSE, one, asked, NOW) for one in (none, role, both)] == [
        Step.ROLE,
        Step.PATIENT,
        Step.CONSENT,
    ]
    assert after_sign_in(NURSE, role, pending(), NOW) is Step.CONSENT


def test_what_was_chosen_for_another_request_or_role_is_no_choice() -> None:
    other = sign_in(*MFA, chosen=Chosen("r2", "nurse", "p1"))
    lost = sign_in(*MFA, chosen=Chosen("r1", "auditor", "p1"))

    assert after_sign_in(NURSE, other, pending(), NOW) is Step.ROLE
    assert after_sign_in(NURSE, lost, pending(), NOW) is Step.ROLE


@pytest.mark.parametrize("given", [{"scopes": ("patient/*.rs",)}, {"patient": "p1"}, {"needs_patient": True}], ids=str)
def test_r_smart_023_any_patient_scope_needs_a_patient(given: dict[str, Any]) -> None:
    chosen = sign_in(*MFA, chosen=Chosen("r1", "nurse"))

    assert after_sign_in(NURSE, chosen, pending(**given), NOW) is Step.PATIENT


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ({}, False),
        ({"prompt": ("consent",)}, False),
        ({"prompt": ("login",)}, True),
        ({"prompt": ("select_account", "consent")}, True),
        ({"max_age": 3600}, False),
        ({"max_age": 3599}, True),
        ({"max_age": 0}, True),
    ],
    ids=str,
)
def test_prompt_and_max_age_ask_again_once(given: dict[str, Any], *, again: bool) -> None:
    before, under = sign_in(*MFA), sign_in(*MFA, request="r1")

    later = NOW + HOUR
    assert (after_sign_in(NURSE, before, pending(**given), later) is Step.SIGN_IN) is again
    assert after_sign_in(NURSE, under, pending(**given), later) is Step.ROLE


def test_to_change_a_factor_one_proves_it_again() -> None:
    assert is_fresh(sign_in(*MFA), NOW + FRESH_FOR - timedelta(seconds=1))
    assert not is_fresh(sign_in(*MFA), NOW + FRESH_FOR)


def test_a_patient_is_their_own_and_staff_pick() -> None:
    assert own_patient(PATIENT, "patient") == "p1"
    assert own_patient(NURSE, "nurse") is None
    assert own_patient(replace(PATIENT, fhir_user=None), "patient") is None
    assert picks_patients("receptionist")
    assert not picks_patients("related-person")
