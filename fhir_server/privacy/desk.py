"""What patients do with their consents by themselves: sign a form, see what is in force, take it back.

GDPR Art. 7(3); architecture section 9: three doors. The link in a copy needs no account, opens nothing but a
withdrawal, and ends when its digest is taken out of the document.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace

from fhir_server.consent.signature import Sitting
from fhir_server.consent.signing import WITHDRAW_LINK, Signing
from fhir_server.consent.terms import in_force
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal import withdraw
from fhir_server.search.parse import parse

_MOST_LINK = 200
_MOST_CONSENTS = "200"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who withdraws: somebody signed in as a patient, or whoever has the link of a copy; `channel` says which."""

    principal: Principal
    patient: str
    channel: str
    document: str | None = None


class Desk:
    """`server` is who acts for whoever comes by a link."""

    def __init__(self, engine: Engine, signing: Signing, server: Principal, clock: Clock) -> None:
        self._engine, self._signing, self._server, self._clock = engine, signing, server, clock

    async def sign(self, visitor: Visitor, sitting: Sitting) -> tuple[Stored, ...]:
        return await self._signing.sign(self._call(visitor, "sign"), sitting)

    async def by_link(self, link: str) -> Visitor | None:
        """None for a link that is none, or none any more."""
        id, _, secret = link[:_MOST_LINK].partition(".")
        stored = await self._engine.store.read(ResourceKey("DocumentReference", id)) if is_id(id) else None
        if stored is None or stored.deleted:
            return None
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
        kept = [
            str(one.get("valueString"))
            for one in stored.resource.get("extension", [])
            if one.get("url") == WITHDRAW_LINK
        ]
        patient = str(stored.resource.get("subject", {}).get("reference", "")).removeprefix("Patient/")
        fits = any(hmac.compare_digest(one, digest) for one in kept) and stored.resource.get("status") == "current"
        return Visitor(self._server, patient, "link", str(stored.key)) if fits else None

    async def in_force(self, visitor: Visitor) -> list[Stored]:
        """The permissions that can be taken back here: all of the patient's, or those of the document."""
        call = replace(self._call(visitor), interaction=Interaction.SEARCH_TYPE)
        pairs = [("patient", f"Patient/{visitor.patient}"), ("status", "active"), ("_count", _MOST_CONSENTS)]
        page = await self._engine.search(call, parse("Consent", pairs, self._engine.language))
        return [one for one in page.matches if _permits(one.resource) and _is_of(one.resource, visitor.document)]

    async def withdraw(self, visitor: Visitor, id: str) -> bool:
        """False where there is nothing like that to take back."""
        if not any(one.key.id == id for one in await self.in_force(visitor)):
            return False
        await withdraw(self._engine, replace(self._call(visitor, "withdraw"), id=id), visitor.channel)
        return True

    def _call(self, visitor: Visitor, operation: str | None = None) -> Call:
        now = self._clock.now()
        return Call(Interaction.OPERATION, visitor.principal, now, "Consent", operation=operation)


def _permits(consent: Json) -> bool:
    return in_force(consent) and consent.get("provision", {}).get("type") == "permit"


def _is_of(consent: Json, document: str | None) -> bool:
    return document is None or consent.get("sourceReference", {}).get("reference") == document
