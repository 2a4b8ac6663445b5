"""The first page: a name and a password, or a passkey, which is both factors in one.

OpenID Connect Core 3.1.2.1: `prompt=none` shows no page, `login_hint` fills in the name.
"""

from dataclasses import replace

from fhir_server.smart.approval import Approval, Authorizations, Pending
from fhir_server.smart.signin.passkeys import challenge_of
from fhir_server.smart.signin.proofs import SIGN_IN, NotProven, Proven, TooSoon, Verdict
from fhir_server.smart.signin.sessions import Remembered, SignIn
from fhir_server.smart.signin.steps import MULTIPLE, Step, after_sign_in
from fhir_server.smart.signin.users import User
from fhir_server.ui import flow
from fhir_server.ui.answers import TOO_SOON, Answer, Go, Show, wrong
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    if visit.asked and visit.pending is None:
        return flow.gone()
    if visit.pending and surface.authorizations and "none" in visit.pending.prompt:
        return Go(await _silently(surface, surface.authorizations, visit.pending, visit.signed))
    if visit.signed:
        step = after_sign_in(visit.signed.user, visit.signed.sign_in, visit.pending, surface.clock.now())
        if step is not Step.SIGN_IN:
            return flow.go(surface, visit, step)
    return Show("sign-in", shown(surface, visit))


async def post(surface: Surface, visit: Visit) -> Answer:
    if visit.asked and visit.pending is None:
        return flow.gone()
    proofs, form = surface.door.proofs, visit.form
    if form.get("passkey"):
        verdict = await proofs.passkey(
            form.get("passkey"), challenge_of(form.get("challenge")), visit.browser, visit.place, None
        )
    else:
        verdict = await proofs.password(form.get("username"), form.get("password"), visit.place)
    if not isinstance(verdict, Proven):
        fault = "passkey-refused" if form.get("passkey") else "sign-in-refused"
        return refused(verdict, "sign-in", shown(surface, visit), fault, "username")
    methods = (*verdict.methods, MULTIPLE) if form.get("passkey") else verdict.methods
    place = visit.place
    sign_in, secret = await surface.door.sessions.begin(
        verdict.user, methods, place.address, place.browser, verdict.factor
    )
    return await flow.begin(surface, visit, Signed(verdict.user, sign_in), secret)


def shown(surface: Surface, visit: Visit) -> dict[str, object]:
    """What was typed for a name is shown again, never the password."""
    hint = visit.pending.login_hint if visit.pending else None
    party = surface.door.relying_party
    challenge = surface.door.binding.challenge(SIGN_IN, visit.browser, surface.clock.now())
    return {
        "username": visit.form.get("username") or hint or (visit.signed.user.username if visit.signed else ""),
        "client_name": visit.pending.client_name if visit.pending else None,
        "passkey_options": party.assertion(challenge) if party else None,
    }


def refused(verdict: Verdict, template: str, values: dict[str, object], fault: str, field: str | None) -> Show:
    """The same words for whatever it was; or how long to wait."""
    match verdict:
        case TooSoon(wait):
            seconds = max(1, -(-int(wait.total_seconds() * 1000) // 1000))
            return Show(template, values, TOO_SOON, "too-soon", None, wait=seconds)
        case NotProven() | Proven():
            return wrong(template, values, fault, field)


async def _silently(surface: Surface, to: Authorizations, pending: Pending, signed: Signed | None) -> str:
    """Without a page: what this sign-in granted before is granted again, else the client learns what lacks."""
    asking = replace(pending, prompt=())
    if signed is None or after_sign_in(signed.user, signed.sign_in, asking, surface.clock.now()) is Step.SIGN_IN:
        return await to.deny(pending.id, "login_required")
    for granted in signed.sign_in.remembered:
        if _covers(granted, signed.user, pending):
            return await to.approve(pending.id, approval(signed.user, signed.sign_in, pending, granted))
    return await to.deny(pending.id, "consent_required")


def _covers(granted: Remembered, user: User, pending: Pending) -> bool:
    same = granted.client_id == pending.client_id and granted.role in user.roles
    return same and set(granted.scopes) >= set(pending.scopes) and pending.patient in {None, granted.patient}


def approval(user: User, sign_in: SignIn, pending: Pending, granted: Remembered) -> Approval:
    return Approval(
        subject=user.id,
        username=user.username,
        name=user.name,
        role=granted.role,
        fhir_user=user.fhir_user,
        scopes=granted.scopes,
        patient=granted.patient,
        encounter=pending.encounter,
        signed_in=sign_in.signed_in,
        methods=sign_in.methods,
        session=sign_in.id,
    )
