"""A photo filed under the wrong patient: hidden at once, sealed anew for the right one, destroyed under the wrong one.

Architecture section 9; GDPR Art. 5(1)(d), 33. What was made of it goes with it, and whoever saw it there causes a Task.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from fhir_server.engine.call import Beside, Call, Interaction, Principal, Trace
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import (
    ConflictError,
    ContendedError,
    NoLegalBasisError,
    NotFoundError,
    StaleBasisError,
    UnprocessableError,
)
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import CONDEMNED, LIVE, PENDING, Photo, PhotoVault, Versions
from fhir_server.media.vocabulary import DERIVED_FROM, REASSIGNED
from fhir_server.search.parse import parse

FINISH_REASSIGNMENT = "finish-reassignment"
_TO_ASSESS = timedelta(hours=72)
"""GDPR Art. 33(1)."""
_MOST_MADE_OF_IT = 100
_OF_THE_WRONG_ONE = frozenset({"id", "meta", "text", "subject", "encounter", "partOf", "basedOn"})


class Reassigning:
    """`server` does what the caller's own rights do not reach; `index` brings the log's index up to date."""

    def __init__(
        self,
        engine: Engine,
        vault: PhotoVault,
        versions: Versions,
        server: Principal,
        new_id: NewId,
        index: Callable[[], Awaitable[object]],
    ) -> None:
        self._engine, self._vault, self._versions = engine, vault, versions
        self._server, self._new_id, self._index = server, new_id, index

    async def reassign(self, call: Call, patient: str, reason: str) -> Stored:
        """The new Media, of the right patient. Hidden it stays also where that patient has no legal basis for it.

        Nor is it kept where it was taken before that patient agreed (T99): having been filed elsewhere is no consent.
        """
        gone: list[ResourceKey] = []
        async with self._engine.attempt(call) as attempt:
            wrong = await self._misfiled(call, patient)
            old = await self._vault.find(photo_id(wrong.resource))
            if old is None or old.state != LIVE:
                raise NotFoundError("The Media has no photo here.")
            promised = await self._moved(wrong, patient, "promised")
            try:
                await self._engine.drafts.prepared(self._creating(call), promised)
            except (NoLegalBasisError, ConflictError):  # none at all, or none yet when it was taken
                await self._hide(call, wrong)
                raise
            await self._hide(call, wrong)
            bytes_of, owner = self._vault.stream(old, 0, old.length), ResourceKey("Media", self._new_id())
            new = await self._vault.pour(bytes_of, old.length, old.media_type, owner, (patient,))

            async def once() -> Stored:
                changes = await self._changes(call, wrong.key, new, patient, reason)
                stored = await self._engine.store.commit(changes)
                attempt.committed = True
                gone.extend(change.key for change in changes if change.resource is None)
                return stored[0]

            try:
                stale = (StaleBasisError, ContendedError)
                moved = await self._engine.courtesy.insist([str(wrong.key)], once, again_on=stale)
            except BaseException:
                await self._vault.discard(new)
                raise
        for key in gone:
            await self.finish(Task(FINISH_REASSIGNMENT, _subject(wrong), str(key)))
        return moved

    async def finish(self, task: Task) -> None:
        """A task handler as well: key, bytes and every version that the wrong patient's file had. Safe to repeat."""
        key = parse_reference(task.cause)
        condemned = await self._vault.of_patient(task.patient, {CONDEMNED})
        await self._vault.destroy([photo for photo in condemned if photo.owner == key], REASSIGNED)
        if key is not None:
            await self._versions.purge(key)

    async def _misfiled(self, call: Call, patient: str) -> Stored:
        """The Media, which the caller may change, though nobody may see its bytes."""
        await self._engine.steps.admit(call)
        with suppress(NoLegalBasisError):  # known to the caller, and its bytes are unreachable already
            await self._engine.look(call)
        media = await self._current(call)
        if not carries_photo(media.resource):
            raise NotFoundError("The Media has no photo here.")
        if _subject(media) == patient:
            raise UnprocessableError("The photo is filed under this patient.", expression="Parameters.parameter")
        return media

    async def _hide(self, call: Call, media: Stored) -> None:
        """Entered in error, with what was made of it: from now on no bytes of it are shown."""
        for one in (media, *await self._made_of(media)):
            if one.key.type != "Media" or one.resource.get("status") == "entered-in-error":
                continue
            hidden = self._engine.drafts.of(one.key, {**one.resource, "status": "entered-in-error"}, one)
            with suppress(NoLegalBasisError):  # then none are shown anyway
                asking = self._as_server(call, Interaction.UPDATE, one.key)
                await self._engine.store.commit([await self._engine.drafts.prepared(asking, hidden)])

    async def _current(self, call: Call) -> Stored:
        media = await self._engine.store.read(call.key) if call.key else None
        if media is None or media.deleted:
            raise NotFoundError("There is no resource with this id.")
        return media

    async def _changes(self, call: Call, wrong: ResourceKey, new: Photo, patient: str, reason: str) -> list[Change]:
        """The new Media first; then what goes; then the Provenance, and the Task where somebody saw it."""
        media = await self._current(replace(call, id=wrong.id))
        trail, task = (ResourceKey(type, self._new_id()) for type in ("Provenance", "Task"))
        made = Beside(made=frozenset({new.owner, trail, task}))
        drafts = self._engine.drafts
        moved = replace(self._creating(call), beside=made)
        changes = [await drafts.prepared(moved, await self._moved(media, patient, new.id, new.owner))]
        gone = [media, *await self._made_of(media)]
        for one in gone:
            change = drafts.of(one.key, None, one)
            if carries_photo(one.resource):
                change = change.moving_blob(BlobMove(photo_id(one.resource), LIVE, CONDEMNED))
            change = change.queueing(Task(FINISH_REASSIGNMENT, _subject(media), str(one.key)))
            changes.append(await drafts.prepared(self._as_server(call, Interaction.DELETE, one.key), change))
        beside = [(trail, _provenance(new.owner, media, call, reason))]
        if await self._was_seen(call, media.key):
            beside.append((task, _assessment(new.owner, patient, call)))
        for key, resource in beside:
            asking = replace(self._as_server(call, Interaction.CREATE, key), id=None, beside=made)
            changes.append(await drafts.create(asking, resource, key.id))
        return changes

    async def _moved(self, media: Stored, patient: str, photo: str, key: ResourceKey | None = None) -> Change:
        """The Media as the right patient's file has it: what points into the wrong one is left out."""
        first = await self._engine.store.read_version(media.key, 1) or media
        target = key or ResourceKey("Media", self._new_id())
        kept = {name: value for name, value in media.resource.items() if name not in _OF_THE_WRONG_ONE}
        meta = {name: media.resource["meta"][name] for name in ("tag", "security") if name in media.resource["meta"]}
        resource = {
            **kept,
            "id": target.id,
            "meta": meta,
            "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
            "content": {**kept["content"], "url": f"Binary/{photo}"},
        }
        change = self._engine.drafts.of(target, resource, None, "POST")._replace(filed=first.last_updated)
        return change.moving_blob(BlobMove(photo, PENDING, LIVE))

    async def _made_of(self, media: Stored) -> list[Stored]:
        """Renditions and scores of this Media, in its patient's file."""
        owners = {photo.owner for photo in await self._vault.of_patient(_subject(media), {LIVE})} - {media.key}
        renditions = await self._engine.store.read_many(owners) if owners else {}
        scores = await self._engine.store.referring(media.key, {"Media", "Provenance", "AuditEvent"}, _MOST_MADE_OF_IT)
        return [
            *(one for one in renditions.values() if not one.deleted and _is_made_of(one.resource, media.key)),
            *(one for one in scores if one.key.type == "Observation" and _is_derived(one.resource, media.key)),
        ]

    async def _was_seen(self, call: Call, key: ResourceKey) -> bool:
        """Does the log know of a read by anybody but who asks now?"""
        await self._index()
        auditor = replace(self._server, scopes=("system/AuditEvent.rs",))
        asking = replace(
            call, interaction=Interaction.SEARCH_TYPE, principal=auditor, type="AuditEvent", id=None, operation=None,
            trace=Trace(),
        )  # fmt: skip
        pairs = [("entity", str(key)), ("action", "R"), ("outcome", "0")]
        page = await self._engine.found(asking, [parse("AuditEvent", pairs, self._engine.language)])
        return page.next is not None or any(_is_by_another(one.resource, call.principal) for one in page.matches)

    def _creating(self, call: Call) -> Call:
        return replace(call, interaction=Interaction.CREATE, id=None, operation=None)

    def _as_server(self, call: Call, interaction: Interaction, key: ResourceKey) -> Call:
        return replace(
            call, interaction=interaction, principal=self._server, type=key.type, id=key.id, operation=None,
            trace=Trace(),
        )  # fmt: skip


def _subject(media: Stored) -> str:
    key = parse_reference(str(media.resource.get("subject", {}).get("reference", "")))
    return key.id if key else ""


def _is_made_of(media: Json, original: ResourceKey) -> bool:
    sources = [one["valueReference"]["reference"] for one in media.get("extension", []) if one["url"] == DERIVED_FROM]
    return any(source.partition("/_history/")[0] == str(original) for source in sources)


def _is_derived(observation: Json, original: ResourceKey) -> bool:
    return any(one.get("reference") == str(original) for one in observation.get("derivedFrom", []))


def _is_by_another(event: Json, principal: Principal) -> bool:
    """People are told apart by their reference; a service without a person by its client."""
    who = [agent.get("who", {}) for agent in event.get("agent", [])]
    people = {one["reference"] for one in who if "reference" in one}
    clients = {one.get("identifier", {}).get("value") for one in who}
    if principal.fhir_user:
        return principal.fhir_user not in people
    return bool(people) or principal.client_id not in clients


def _provenance(new: ResourceKey, old: Stored, call: Call, reason: str) -> Json:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": str(new)}],
        "recorded": instant(call.instant),
        "reason": [{"text": reason}],
        "activity": {"coding": [{"system": REASSIGNED, "code": "reassigned"}]},
        "agent": [
            {"who": {"identifier": {"system": call.principal.issuer or REASSIGNED, "value": call.principal.subject}}}
        ],
        "entity": [{"role": "source", "what": {"reference": f"{old.key}/_history/{old.version}"}}],
    }


def _assessment(new: ResourceKey, patient: str, call: Call) -> Json:
    """For whoever judges breaches: the photo was seen while it stood in somebody else's file."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [{"system": REASSIGNED, "code": "assess-breach"}], "text": "Assess a personal data breach"},
        "focus": {"reference": str(new)},
        "for": {"reference": f"Patient/{patient}"},
        "authoredOn": instant(call.instant),
        "restriction": {"period": {"end": instant(call.instant + _TO_ASSESS)}},
    }
