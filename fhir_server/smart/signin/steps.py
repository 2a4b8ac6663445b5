"""What comes next between the name that somebody types and the answer to the client: a pure decision.

OpenID Connect Core 3.1.2.1 (`prompt`, `max_age`); R-SMART-022 and -023; row S61: no token for staff without a second
factor.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from fhir_server.smart.approval import Pending
from fhir_server.smart.signin.sessions import SignIn
from fhir_server.smart.signin.users import SERVED, User

MULTIPLE = "mfa"
"""amr of a sign-in by more than one factor (RFC 8176); a passkey with a verified person is two by itself."""

FRESH_FOR = timedelta(minutes=10)
"""How long after somebody proved who they are they may change by what they prove it."""


class Step(StrEnum):
    """Each is a page, but for COMPLETE, where a sign-in begun becomes one."""

    SIGN_IN = "sign-in"
    SECOND_FACTOR = "second-factor"
    NEW_PASSWORD = "new-password"  # noqa: S105  a step, not a password
    ENROL = "enrol"
    COMPLETE = "complete"
    ACCOUNT = "account"
    ROLE = "role"
    PATIENT = "patient"
    CONSENT = "consent"


def factor_needed(user: User, *, patients_by_password: bool) -> bool:
    return user.is_staff or not patients_by_password


def after_proof(user: User, begun: SignIn, *, patients_by_password: bool, declined: bool = False) -> Step:
    """`declined`: the person was offered a second factor and did not want one."""
    proven = MULTIPLE in begun.methods
    if user.has_second_factor and not proven:
        return Step.SECOND_FACTOR
    if "pwd" in begun.methods and user.password is not None and user.password.once_until is not None:
        return Step.NEW_PASSWORD
    if not proven and (factor_needed(user, patients_by_password=patients_by_password) or not declined):
        return Step.ENROL
    return Step.COMPLETE


def after_sign_in(user: User, sign_in: SignIn, pending: Pending | None, now: datetime) -> Step:
    """For a complete one. Without a request there is only one's own page."""
    if pending is None:
        return Step.ACCOUNT
    if must_prove_again(sign_in, pending, now) or (user.is_staff and MULTIPLE not in sign_in.methods):
        return Step.SIGN_IN
    chosen = sign_in.chosen if sign_in.chosen and sign_in.chosen.request == pending.id else None
    role = chosen.role if chosen else None
    if role is None or role not in user.roles:
        return Step.ROLE
    if needs_patient(pending) and (chosen is None or chosen.patient is None):
        return Step.PATIENT
    return Step.CONSENT


def must_prove_again(sign_in: SignIn, pending: Pending, now: datetime) -> bool:
    """Whoever proved it under this very request did so after it was made, however long ago that is by now."""
    if sign_in.request == pending.id:
        return False
    if {"login", "select_account"} & set(pending.prompt):
        return True
    return pending.max_age is not None and now - sign_in.signed_in > timedelta(seconds=pending.max_age)


def needs_patient(pending: Pending) -> bool:
    """Where any patient/ scope may be granted there is a patient in context."""
    asked = pending.needs_patient or any(scope.startswith("patient/") for scope in pending.scopes)
    return asked or pending.patient is not None


def is_fresh(sign_in: SignIn, now: datetime) -> bool:
    return now - sign_in.signed_in < FRESH_FOR


def own_patient(user: User, role: str) -> str | None:
    """The one patient of whoever acts as a patient."""
    if role != "patient" or user.fhir_user is None:
        return None
    return user.fhir_user.removeprefix("Patient/")


def picks_patients(role: str) -> bool:
    return role not in SERVED
