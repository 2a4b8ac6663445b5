"""May something leave the clinic for a recipient who is named, for a purpose, and on what ground?

GDPR Art. 5(1)(b), 9(2)(a) and (f); requirement M9. It is asked of the recipient beside what is asked of the caller.
"""

from dataclasses import replace
from enum import StrEnum

from fhir_server.consent.facts import facts_of
from fhir_server.consent.matter import is_photo, is_proof, rendition_of
from fhir_server.consent.purposes import from_act_reason
from fhir_server.consent.question import Ask, Permit
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import LEVELS
from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey

CLAIM_PURPOSE = "HLEGAL"
PURPOSES = frozenset({"HPAYMT", CLAIM_PURPOSE})
"""Codes of v3-ActReason: for what a record is handed to an insurer, an expert or a court."""


class Ground(StrEnum):
    """`consent`: the patient agreed to this purpose by name. `legal-claim`: it is needed for a claim.

    A claim needs no consent of its own. It takes no refusal away, and brings no photo back that care has no basis for.
    """

    CONSENT = "consent"
    LEGAL_CLAIM = "legal-claim"


class Releasing:
    def __init__(self, standing: Standing, gate: Step) -> None:
        self._standing, self._gate = standing, gate

    def outside(self, call: Call, recipient: ResourceKey, purpose: str) -> Call:
        """The call as the recipient would make it: nothing that was decided for the caller counts."""
        principal = replace(call.principal, fhir_user=str(recipient))
        return replace(
            call, interaction=Interaction.READ, operation=None, purpose=purpose, principal=principal, trace=Trace()
        )

    async def permits(self, outside: Call, stored: Stored, patient: str, ground: Ground) -> bool:
        """What is of nobody, and what the clinic keeps as proof, goes along; the trace knows what it rests on."""
        if f"Patient/{patient}" not in stored.access or is_proof(stored.resource):
            return True
        asking = replace(outside, type=stored.key.type, id=stored.key.id)
        if ground is Ground.LEGAL_CLAIM:
            try:
                return await self._gate.disclose(asking, stored) is not None
            except NoLegalBasisError:
                return False
        recipient = asking.principal.fhir_user or ""
        type, _, id = recipient.partition("/")
        ask = Ask(
            patient,
            from_act_reason(asking.purpose),
            asking.instant,
            stored.key,
            ResourceKey(type, id),
            facts=facts_of(stored.resource),
            rendition=rendition_of(stored.resource) if is_photo(stored.resource) else len(LEVELS) - 1,
        )
        decided = await self._standing.decide(ask, asking.trace)
        if isinstance(decided, Permit):
            asking.trace.bases[patient] = decided.basis
        return isinstance(decided, Permit)
