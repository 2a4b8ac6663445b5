"""A signed form, committed: answers, document, Provenance and one Consent per purpose, all of it or none.

GDPR Art. 7(1); IHE PCF 1.1; architecture section 9. What the caller may write is the Consents; the evidence that goes
with them is the server's own doing.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fhir_server.consent.answers import Answers, answered, decisions
from fhir_server.consent.document import document, page
from fhir_server.consent.evidence import Facts, consent, provenance, reminder, response
from fhir_server.consent.law import Pack
from fhir_server.consent.signature import Sitting, require_signed
from fhir_server.consent.signers import Who, birthday, is_minor, require_signer
from fhir_server.engine.attempts import Attempt, writing
from fhir_server.engine.call import Beside, Call, Interaction, Principal
from fhir_server.engine.change import Change, spread
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json

WITHDRAW_LINK = "urn:aesthetic-fhir-server:withdraw-link"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Office:
    """Who asks for consent, and where its pages are. `organization` is a Reference without a resource of ours."""

    name: str
    organization: Json
    url: str
    pack: Pack


class Signing:
    """`server` is who acts for the evidence; `new_bytes(n)` gives random ones."""

    def __init__(
        self, engine: Engine, server: Principal, new_id: NewId, new_bytes: Callable[[int], bytes], office: Office
    ) -> None:
        self._engine, self._server, self._office = engine, server, office
        self._new_id, self._new_bytes = new_id, new_bytes

    async def sign(self, call: Call, sitting: Sitting) -> tuple[Stored, ...]:
        """What was made: QuestionnaireResponse, DocumentReference, Provenance, a Task if it lapses, the Consents."""

        async def once(attempt: Attempt) -> tuple[Stored, ...]:
            changes = await self._drawn_up(call, sitting)
            stored = await self._engine.store.commit(spread(changes))
            attempt.committed = True
            return stored[: len(changes)]

        return await writing(self._engine.steps, self._engine.courtesy, call, once)

    async def doubts(self, sitting: Sitting) -> tuple[Issue, ...]:
        """A warning where the form is in no language in which the patient said to be addressed (T91)."""
        patient = await self._read(ResourceKey("Patient", sitting.patient)) or {}
        spoken = {language for one in patient.get("communication", []) for language in _languages(one)}
        if not spoken or sitting.form.language in spoken:
            return ()
        says = "The form is in another language than those in which the patient is to be addressed."
        return (Issue("business-rule", says, "Patient.communication", "warning"),)

    async def _drawn_up(self, call: Call, sitting: Sitting) -> Sequence[Change]:
        await self._engine.steps.admit(call)
        require_signed(sitting, call.instant)
        answers = answered(sitting.form, sitting.response)
        asked = decisions(sitting.form, answers)
        patient = await self._read(ResourceKey("Patient", sitting.patient))
        keys = [self._key("Consent") for _ in asked]
        paper = self._key("DocumentReference")
        facts = self._facts(sitting, patient or {}, call.instant)
        made = frozenset((*keys, paper))
        own = replace(call, beside=Beside(made=made))
        # The Consents first: whoever may not write them learns nothing about the patient.
        consents = [
            await self._drafted(own, consent(key, sitting, one, paper, facts))
            for key, one in zip(keys, asked, strict=True)
        ]
        if patient is None:
            raise UnprocessableError("There is no such patient.", expression="Parameters.parameter")
        who = Who(patient, await self._named(sitting.signer), await self._named(sitting.authority))
        require_signer(sitting, who, asked, self._office.pack, call.instant)
        evidence = self._evidence(sitting, answers, paper, keys, call.instant)
        granted = [key for key, one in zip(keys, asked, strict=True) if one.granted]
        if facts.lapses and granted:
            evidence.append(reminder(self._key("Task"), sitting, facts.lapses, granted, call.instant))
        mine = replace(own, principal=self._server, interaction=Interaction.CREATE)
        return [*[await self._drafted(mine, one) for one in evidence], *consents]

    def _evidence(
        self, sitting: Sitting, answers: Answers, paper: ResourceKey, consents: Sequence[ResourceKey], now: datetime
    ) -> list[Json]:
        secret = base64.urlsafe_b64encode(self._new_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
        link = f"{self._office.url}/auth/withdraw?link={paper.id}.{secret}"
        written = document(paper, sitting, page(sitting, answers, self._office.name, link), now)
        # Only the digest is looked at: what withdraws is in the patient's copy.
        digest = hashlib.sha256(secret.encode()).hexdigest()
        written["extension"] = [{"url": WITHDRAW_LINK, "valueString": digest}]
        filled = response(self._key("QuestionnaireResponse"), sitting, answers)
        targets = [*consents, paper, ResourceKey("QuestionnaireResponse", filled["id"])]
        return [filled, written, provenance(self._key("Provenance"), sitting, targets, now)]

    def _facts(self, sitting: Sitting, patient: Json, now: datetime) -> Facts:
        pack, form = self._office.pack, sitting.form
        represented = sitting.signer.type != "Patient" and is_minor(patient, pack, now)
        organization = {"reference": str(sitting.organization)} if sitting.organization else self._office.organization
        policy = f"{self._office.url}/auth/notice?form={form.code}&version={form.version}&lang={form.language}"
        return Facts(organization, policy, now, birthday(patient, pack.majority) if represented else None)

    async def _drafted(self, call: Call, resource: Json) -> Change:
        return await self._engine.drafts.create(
            replace(call, type=resource["resourceType"], id=None), resource, resource["id"]
        )

    async def _named(self, key: ResourceKey | None) -> Json | None:
        return await self._read(key) if key else None

    async def _read(self, key: ResourceKey) -> Json | None:
        stored = await self._engine.store.read(key)
        return None if stored is None or stored.deleted else stored.resource

    def _key(self, type: str) -> ResourceKey:
        return ResourceKey(type, self._new_id())


def _languages(communication: Json) -> set[str]:
    """Of BCP 47 what tells the language: `fr` of `fr-CH`."""
    codings = communication.get("language", {}).get("coding", [])
    return {str(one.get("code", "")).partition("-")[0].casefold() for one in codings}
