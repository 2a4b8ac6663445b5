"""May this patient be written to by this channel? Only where a consent to messages names it.

Requirement S42; GDPR Art. 6(1)(a): silence permits no message, and no rule of care stands in for a consent.
"""

from fhir_server.consent.purposes import COMMUNICATIONS
from fhir_server.consent.question import Ask, Permit
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call
from fhir_server.engine.change import LegalBasis
from fhir_server.kernel.errors import NoLegalBasisError
from fhir_server.kernel.identity import parse_reference


class Contact:
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    async def basis(self, call: Call, patient: str, channel: str) -> LegalBasis:
        """Raises NoLegalBasisError with the reason."""
        actor = parse_reference(call.principal.fhir_user) if call.principal.fhir_user else None
        ask = Ask(patient, COMMUNICATIONS, call.instant, call.key, actor, channel=channel)
        decided = await self._standing.decide(ask, call.trace)
        if isinstance(decided, Permit):
            return decided.basis
        assert call.key is not None, "who is written to is written to about something"
        call.trace.decisions[patient, call.key] = decided
        raise NoLegalBasisError(f"There is no legal basis for a message by this channel. {decided.text}")
