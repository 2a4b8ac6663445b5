"""Setting one's own means of proof: a new password, an authenticator app, a passkey, recovery codes.

At the first sign-in, where it is asked for; later by whoever proved a moment ago who they are.
"""

from dataclasses import replace

from fhir_server.smart.signin import totp
from fhir_server.smart.signin.passkeys import challenge_of
from fhir_server.smart.signin.password_rules import LEAST, LEAST_ALONE
from fhir_server.smart.signin.proofs import ENROL
from fhir_server.smart.signin.steps import Step, after_proof, factor_needed, is_fresh
from fhir_server.smart.signin.users import MOST_PASSKEYS, User, named
from fhir_server.ui import flow
from fhir_server.ui.answers import Answer, Go, Show, path, wrong
from fhir_server.ui.qr import svg
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit

CODES = "recovery-codes"


async def get_password(surface: Surface, visit: Visit) -> Answer:
    acting = _acting(surface, visit, Step.NEW_PASSWORD)
    return Show("new-password", _password_values(acting)) if acting else _prove_again(surface, visit)


async def post_password(surface: Surface, visit: Visit) -> Answer:
    acting = _acting(surface, visit, Step.NEW_PASSWORD)
    if acting is None:
        return _prove_again(surface, visit)
    password = visit.form.get("password")
    if password != visit.form.get("repeated"):
        return wrong("new-password", _password_values(acting), "password-differs", "repeated")
    changed = await surface.door.enrolment.set_password(acting.user, password, visit.place, acting.sign_in)
    if not isinstance(changed, User):
        return wrong("new-password", _password_values(acting), changed, "password")
    if _is_begun(visit, acting):
        return await flow.proven(surface, visit, replace(acting, user=changed))
    return flow.go(surface, visit, Step.ACCOUNT)


async def get_enrol(surface: Surface, visit: Visit) -> Answer:
    acting = _acting(surface, visit, Step.ENROL)
    if acting is None:
        return _prove_again(surface, visit)
    if acting.sign_in.offered is None:
        kept = await surface.door.sessions.keep(replace(acting.sign_in, offered=totp.new_secret()))
        if kept is None:
            return _prove_again(surface, visit)
        acting = replace(acting, sign_in=kept)
    return Show("enrol", _enrol_values(surface, visit, acting))


async def post_enrol(surface: Surface, visit: Visit) -> Answer:
    acting = _acting(surface, visit, Step.ENROL)
    if acting is None or acting.sign_in.offered is None:
        return _prove_again(surface, visit)
    form, enrolment, user = visit.form, surface.door.enrolment, acting.user
    if form.get("skip") and _is_begun(visit, acting):
        return await flow.proven(surface, visit, acting, declined=True)
    if form.get("passkey"):
        label = form.get("label").strip() or "Passkey"
        enrolled = await enrolment.enrol_passkey(
            user, form.get("passkey"), challenge_of(form.get("challenge")), visit.browser, label, visit.place
        )
        fault, field, method = "passkey-not-made", None, "pop"
    else:
        enrolled = await enrolment.enrol_totp(user, acting.sign_in.offered, form.get("code"), visit.place)
        fault, field, method = "enrol-refused", "code", "otp"
    if enrolled is None:
        return wrong("enrol", _enrol_values(surface, visit, acting), fault, field)
    return await _enrolled(surface, visit, replace(acting, user=enrolled), method)


async def _enrolled(surface: Surface, visit: Visit, acting: Signed, method: str) -> Answer:
    """The proof that was just given counts for this sign-in; the recovery codes are shown with it, once."""
    codes = await _codes(surface, visit, acting.user)
    if _is_begun(visit, acting):
        user = acting.user
        factor = user.totp if method == "otp" and user.totp else user.passkeys[-1]
        answer = await flow.proven(surface, visit, acting, method, factor=named(factor))
        # The sign-in is complete, or a step lacks; either way the codes come first, with the way on below them.
        return replace(codes, set=answer.set, drop=answer.drop) if codes else answer
    kept = await surface.door.sessions.keep(replace(acting.sign_in, offered=None))
    return codes or (flow.go(surface, visit, Step.ACCOUNT) if kept else _prove_again(surface, visit))


async def _codes(surface: Surface, visit: Visit, user: User) -> Show | None:
    if user.recovery is not None:
        return None
    return await recovery_codes(surface, visit, user)


async def recovery_codes(surface: Surface, visit: Visit, user: User) -> Show:
    codes = await surface.door.enrolment.recovery_codes(user, visit.place)
    return Show(CODES, {"codes": codes, "onward": path(surface.root, Step.SIGN_IN, visit.pending)})


def _acting(surface: Surface, visit: Visit, step: Step) -> Signed | None:
    """Whose it is to change: of a sign-in begun that has come to this step, or of a fresh one."""
    if visit.begun is not None:
        comes_next = after_proof(
            visit.begun.user,
            visit.begun.sign_in,
            patients_by_password=surface.door.policy.patients_by_password,
        )
        if comes_next is step:
            return visit.begun
    if visit.signed is not None and is_fresh(visit.signed.sign_in, surface.clock.now()):
        return visit.signed
    return None


def _is_begun(visit: Visit, acting: Signed) -> bool:
    return visit.begun is not None and acting.sign_in.id == visit.begun.sign_in.id


def _prove_again(surface: Surface, visit: Visit) -> Go:
    return Go(path(surface.root, "again" if visit.signed else Step.SIGN_IN, visit.pending))


def _password_values(acting: Signed) -> dict[str, object]:
    alone = not acting.user.is_staff and not acting.user.has_second_factor
    return {"least": LEAST_ALONE if alone else LEAST, "username": acting.user.username}


def _enrol_values(surface: Surface, visit: Visit, acting: Signed) -> dict[str, object]:
    user, secret = acting.user, acting.sign_in.offered or ""
    party = surface.door.relying_party if len(user.passkeys) < MOST_PASSKEYS else None
    challenge = surface.door.binding.challenge(ENROL, visit.browser, surface.clock.now())
    needed = factor_needed(user, patients_by_password=surface.door.policy.patients_by_password)
    return {
        "secret": totp.readable(secret),
        "qr": svg(surface.door.enrolment.totp_address(user, secret)),
        "passkey_options": party.registration(user, challenge) if party else None,
        "may_skip": _is_begun(visit, acting) and not needed,
        "has_totp": user.totp is not None,
    }
