"""`Task/[id]/$fulfil`: a request is carried out with one commit: what it does, who is to be told, the receipt.

GDPR Art. 15 to 21, 19, 5(2); rows S49 to S53, B6. Erasing is `$erase`, with the request as its Task. What a role does
not see it does not correct: a rectification names the versions that others wrote, each under their own rights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo

from fhir_server.consent.purposes import CARE
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy import rights
from fhir_server.privacy.corrections import differing, provenance
from fhir_server.privacy.erasure import Asked, Erasures, Plan
from fhir_server.privacy.handling import open_request
from fhir_server.privacy.receipt import Answered, Scribe
from fhir_server.privacy.recipients import Disclosures, Recipients, notices
from fhir_server.privacy.remedies import objections, restriction
from fhir_server.privacy.requests import ERASE
from fhir_server.privacy.rights import ACCESS, OBJECT, PORT, RECTIFY, RESTRICT, TOLD_ON, Request

Outcome = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Given:
    """`resources`: what is restricted, or was corrected. `purposes`: what is objected to.

    `archive`: the SHA-256 of the copy that was handed over, by this `channel`.
    """

    dry_run: bool = False
    because: str = ""
    resources: tuple[ResourceKey, ...] = ()
    purposes: tuple[str, ...] = ()
    archive: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """What was done, or would be. `receipt` is None where nothing was; `plan`: of an erasure."""

    right: str
    outcome: Outcome
    told: Recipients
    receipt: ResourceKey | None = None
    plan: Plan | None = None


class Fulfilling:
    """`server` draws up what a request brings about. `zone`: where a day begins."""

    def __init__(
        self,
        engine: Engine,
        erasures: Erasures,
        disclosures: Disclosures,
        scribe: Scribe,
        new_id: NewId,
        server: Principal,
        zone: tzinfo = UTC,
    ) -> None:
        self._engine, self._erasures, self._disclosures = engine, erasures, disclosures
        self._scribe, self._new_id, self._server, self._zone = scribe, new_id, server, zone

    async def fulfil(self, call: Call, given: Given) -> Fulfilled:
        """Raises ConflictError where nobody wrote down who asks, or what is there does not fit the request."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            stored = await self._engine.look(call)
            request = open_request(stored.resource)
            if not request.identified:
                raise ConflictError("First it is written down how it is known who asks ($rights-step, identify).")
            told = await self._told(call, request)
            if request.right != ERASE and not given.dry_run:
                done = await self._done(call, stored, request, given, told)
                attempt.committed = True
                return done
            attempt.disclosed.append(stored)
            if request.right != ERASE:
                outcome, _ = await self._brought(call, stored, request, given)
                return Fulfilled(request.right, outcome, told)
        return await self._erased(call, request, given, told)

    async def _erased(self, call: Call, request: Request, given: Given, told: Recipients) -> Fulfilled:
        erasing = replace(call, type="Patient", id=request.patient.id, operation="erase")
        plan = await self._erasures.erase(erasing, Asked(given.dry_run, call.key))
        outcome = tuple((str(part.verdict.record), part.verdict.because) for part in plan.parts)
        return Fulfilled(ERASE, outcome, told, plan.receipt, plan)

    async def _done(self, call: Call, stored: Stored, request: Request, given: Given, told: Recipients) -> Fulfilled:
        outcome, drawn_up = await self._brought(call, stored, request, given)
        drafts = self._engine.drafts
        change = await drafts.prepared(call, drafts.of(stored.key, rights.fulfilled(stored.resource, outcome), stored))
        cause = f"{change.key}/_history/{change.version}"
        receipt = self._scribe.erasure_key(request.patient.id, cause)
        course = request.course(rights.begun(stored.resource) or self._day(call.instant))
        answered = Answered(
            request.patient.id,
            cause,
            request.right,
            course.received.isoformat(),
            rights.due_of(stored.resource),
            outcome,
            told.clients,
        )
        brought = [*drawn_up, *notices(stored.key, request.right, request.patient, told)]
        changes = [await self._prepared(call, self._named(resource)) for resource in brought]
        changes.append(await self._prepared(call, (receipt, self._scribe.answer(receipt, answered, call.instant))))
        await self._engine.store.commit([change, *(each for one in changes for each in (one, *one.along))])
        return Fulfilled(request.right, outcome, told, receipt)

    async def _brought(
        self, call: Call, stored: Stored, request: Request, given: Given
    ) -> tuple[Outcome, Sequence[Json]]:
        """What is done, in words, and the resources that do it."""
        now, patient, key = call.instant, request.patient, stored.key
        because = (("because", given.because),) if given.because else ()
        match request.right:
            case right if right in {ACCESS, PORT}:
                if not given.dry_run and not (given.archive and given.channel):
                    raise UnprocessableError("archive and channel say what was handed over, and how.")
                return ((*_if("archive", given.archive), *_if("channel", given.channel), *because), ())
            case right if right == RESTRICT:
                await self._require_theirs(given.resources, patient)
                what = ", ".join(map(str, given.resources)) or "everything"
                return ((("restricted", what), *because), [restriction(patient, key, now, given.resources)])
            case right if right == OBJECT:
                purposes = given.purposes or ("marketing",)
                if not CARE.isdisjoint(purposes):
                    raise UnprocessableError("Care does not rest on GDPR Art. 6(1)(e) or (f).", expression="purpose")
                return (
                    (*(("objected", each) for each in purposes), *because),
                    objections(patient, key, now, purposes),
                )
            case right:
                assert right == RECTIFY, right
                corrected = await self._require_theirs(given.resources, patient)
                if not corrected:
                    raise UnprocessableError("resource names what was corrected.", expression="resource")
                told = [(each, await self._before(each, rights.begun(stored.resource))) for each in corrected]
                says = [f"{each.key}/_history/{each.version}: {differing(before, each)}" for each, before in told]
                written = [provenance(key, each, before, given.because, now) for each, before in told]
                return ((*(("corrected", one) for one in says), *because), written)

    async def _require_theirs(self, keys: Sequence[ResourceKey], patient: ResourceKey) -> Sequence[Stored]:
        """422 for what is not there, or names another patient: both alike."""
        found = await self._engine.store.read_many(list(keys)) if keys else {}
        for key in keys:
            stored = found.get(key)
            if stored is None or stored.deleted or not (key == patient or patient.id in stored.subjects):
                raise UnprocessableError("A resource that is named is none of this patient's.", expression="resource")
        return [found[key] for key in keys]

    async def _before(self, stored: Stored, received: date | None) -> Stored:
        before = None
        if stored.version > 1 and self._day(stored.last_updated) >= (received or date.min):
            before = await self._engine.store.read_version(stored.key, stored.version - 1)
        if before is None or before.deleted:
            raise ConflictError("What is named was not corrected since the request was received.")
        return before

    async def _told(self, call: Call, request: Request) -> Recipients:
        if request.right not in TOLD_ON:
            return Recipients(())
        return await self._disclosures.of(request.patient.id, call.instant)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self._zone).date()

    def _named(self, resource: Json) -> tuple[ResourceKey, Json]:
        key = ResourceKey(resource["resourceType"], self._new_id())
        return key, {**resource, "id": key.id}

    async def _prepared(self, call: Call, named: tuple[ResourceKey, Json]) -> Change:
        key, resource = named
        mine = Call(Interaction.CREATE, self._server, call.instant, key.type, key.id, request_id=call.request_id)
        return await self._engine.drafts.prepared(mine, self._engine.drafts.of(key, resource, None, "POST"))


def _if(code: str, said: str) -> Outcome:
    return ((code, said),) if said else ()
