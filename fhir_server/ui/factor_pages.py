"""The second factor: a one-time code, a passkey, or a recovery code in their place.

Row S61; NIST SP 800-63B-4 section 2.2.
"""

from dataclasses import replace

from fhir_server.smart.signin.passkeys import challenge_of
from fhir_server.smart.signin.proofs import SIGN_IN, Proven, Verdict
from fhir_server.smart.signin.steps import Step
from fhir_server.ui import flow
from fhir_server.ui.answers import Answer, Show
from fhir_server.ui.sign_in_page import refused
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    if visit.begun is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    return Show("second-factor", _shown(surface, visit, visit.begun))


async def post(surface: Surface, visit: Visit) -> Answer:
    if visit.begun is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    form, proofs, id = visit.form, surface.door.proofs, visit.begun.user.id
    verdict: Verdict
    if form.get("passkey"):
        verdict = await proofs.passkey(
            form.get("passkey"), challenge_of(form.get("challenge")), visit.browser, visit.place, id
        )
        fault = "passkey-refused"
    else:
        verdict, fault = await proofs.code(id, form.get("code"), visit.place), "code-refused"
    if not isinstance(verdict, Proven):
        return refused(verdict, "second-factor", _shown(surface, visit, visit.begun), fault, "code")
    return await flow.proven(
        surface, visit, replace(visit.begun, user=verdict.user), *verdict.methods, factor=verdict.factor
    )


async def get_recovery(surface: Surface, visit: Visit) -> Answer:
    return Show("recovery") if visit.begun else flow.go(surface, visit, Step.SIGN_IN)


async def post_recovery(surface: Surface, visit: Visit) -> Answer:
    if visit.begun is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    verdict = await surface.door.proofs.recovery_code(visit.begun.user.id, visit.form.get("code"), visit.place)
    if not isinstance(verdict, Proven):
        return refused(verdict, "recovery", {}, "recovery-refused", "code")
    return await flow.proven(
        surface, visit, replace(visit.begun, user=verdict.user), *verdict.methods, factor=verdict.factor
    )


async def _accepted(surface: Surface, visit: Visit, begun: Signed, proof: Proven) -> Answer:
    begun = replace(begun, user=proof.user)
    return await flow.proven(surface, visit, begun, *proof.methods, factor=proof.factor)


def _shown(surface: Surface, visit: Visit, begun: Signed) -> dict[str, object]:
    party = surface.door.relying_party if begun.user.passkeys else None
    challenge = surface.door.binding.challenge(SIGN_IN, visit.browser, surface.clock.now())
    return {
        "has_codes": begun.user.totp is not None,
        "passkey_options": party.assertion(challenge, begun.user) if party else None,
    }
