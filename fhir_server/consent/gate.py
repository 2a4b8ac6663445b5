"""Step: no photo comes in or goes out without a consent that says so, at that instant.

GDPR Art. 6, 7 and 9(2)(a); architecture section 9.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.consent.clinics_own import require_clinics_own
from fhir_server.consent.decision import Ask, Deny, Permit, decide, in_force
from fhir_server.consent.purposes import photo_purpose
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change, ConsentBasis, HeadMove
from fhir_server.engine.pictured import is_of_a_patient
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import Head, Heads, ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import NoLegalBasisError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json


class Gate(Step):
    """Decides on every Media and keeps the head rows of consents in step with the Consents.

    `base` is the server's own FHIR base.
    """

    def __init__(self, store: ResourceStore, heads: Heads, base: str) -> None:
        self._store, self._heads, self._base = store, heads, base

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type == "Consent":
            return _moving_head(change)
        if change.key.type == "Media" and change.resource is not None and _has_bytes(change.resource):
            if is_of_a_patient(change.resource):
                return change.relying_on(await self._basis(call, _patient(change.resource), change.key))
            await require_clinics_own(self._store, self._base, call, change)
        return change

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """An unreadable status makes bytes unreachable, never free: `entered-in-error` is decided like any other."""
        if stored.key.type != "Media" or stored.deleted or not _has_bytes(stored.resource):
            return stored
        if stored.resource.get("status") == "entered-in-error":
            raise NoLegalBasisError("The photo was entered in error; its bytes are not shown.")
        if not is_of_a_patient(stored.resource):
            return stored
        patient = _patient(stored.resource)
        call.trace.bases[patient] = await self._basis(call, patient, stored.key)
        return stored

    async def _basis(self, call: Call, patient: str, resource: ResourceKey) -> ConsentBasis:
        """The consent that permits, decided once per call and resource. Raises NoLegalBasisError with the reason."""
        actor = parse_reference(call.principal.fhir_user) if call.principal.fhir_user else None
        decided = call.trace.decisions.get((patient, resource))
        if decided is None:
            ask = Ask(patient, photo_purpose(call.purpose), call.instant, resource, actor)
            decided = await consented(self._store, self._heads, ask)
            call.trace.decisions[patient, resource] = decided
        if isinstance(decided, Permit):
            return decided.basis
        why = decided.text if isinstance(decided, Deny) else "Nothing was decided."
        raise NoLegalBasisError(f"There is no legal basis for this photo. {why}")


async def consented(store: ResourceStore, heads: Heads, ask: Ask) -> Permit | Deny:
    """Fetch what the head row says is in force, and decide on exactly that."""
    head = await heads.head(ask.patient) or Head(ask.patient, 0, {})
    found = await store.read_many(list(head.consents)) if head.consents else {}
    return decide(ask, [stored.resource for stored in found.values() if not stored.deleted], head)


def _moving_head(change: Change) -> Change:
    """Each version of a Consent enters or leaves its patient's head row; a Consent does not change its patient."""
    old = change.previous.resource if change.previous and not change.previous.deleted else None
    patient = _patient(change.content, "patient")
    if old is not None and _patient(old, "patient") != patient:
        raise UnprocessableError("A Consent does not change its patient.", expression="Consent.patient")
    standing = change.resource is not None and in_force(change.resource)
    return change.moving_head(HeadMove(patient, change.key, change.version, standing))


def _has_bytes(media: Json) -> bool:
    """Here, that is: a link to what another server keeps, under its own rules, is no photograph of ours."""
    content = media.get("content", {})
    return "data" in content or str(content.get("url", "")).startswith("Binary/")


def _patient(resource: Mapping[str, Any], element: str = "subject") -> str:
    """The id of the patient that it is about; 422 where it names none here."""
    reference = resource.get(element, {}).get("reference")
    key = parse_reference(reference) if isinstance(reference, str) else None
    if key is None or key.type != "Patient":
        raise UnprocessableError(
            f"{resource.get('resourceType')}.{element} must be a reference to a Patient of this server.",
            expression=f"{resource.get('resourceType')}.{element}",
        )
    return key.id
