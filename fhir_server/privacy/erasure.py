"""`Patient/[id]/$erase`: what may go goes with one commit, what stays is told with the reason; keys end after it.

GDPR Art. 17, rows S51, S57, T71, T73; architecture section 5. Erasing takes two: the Task that asks for it was
written by somebody else than who does it. Without a retention rule nothing of a class goes; a hold keeps all.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change, Condition, Erasure
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import ConflictError, FhirError, ForbiddenError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import LIVE, PhotoVault
from fhir_server.privacy.entries import birth, entries
from fhir_server.privacy.erasable import Erase, Keep, Verdict, verdicts
from fhir_server.privacy.merging.record import Merges
from fhir_server.privacy.ports import Holding, Holdings
from fhir_server.privacy.receipt import Scribe
from fhir_server.privacy.requests import HOLDS, done, is_open, is_request, named
from fhir_server.privacy.retention import Pack
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query
from fhir_server.smart.authorship import author_of

SHRED = "shred-keys"
_MOST_HOLDS = 200
_MOST_VERSIONS = 100
"""Of a request: nothing is handled in more steps."""


@dataclass(frozen=True, slots=True)
class Part:
    """A class of the patient's data, what is decided on it, and how much of it there is."""

    verdict: Verdict
    resources: int
    photos: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`receipt` is where it will be, once it was done."""

    parts: tuple[Part, ...]
    receipt: ResourceKey | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """`request`: the Task that asks for it; a dry run needs none."""

    dry_run: bool
    request: ResourceKey | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """All that a decision rests on."""

    held: Sequence[Holding]
    verdicts: tuple[Verdict, ...]
    holds: Condition
    parts: tuple[Part, ...]
    keys: tuple[tuple[KeyClass, bytes], ...]


class Erasures:
    def __init__(self, engine: Engine, holdings: Holdings, vault: PhotoVault, scribe: Scribe, pack: Pack) -> None:
        self._engine, self._holdings, self._vault = engine, holdings, vault
        self._scribe, self._pack = scribe, pack
        self._merges = Merges(engine)

    async def erase(self, call: Call, asked: Asked) -> Plan:
        """Raises ConflictError where nothing may go, ForbiddenError for who asked for it themselves."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            seen = await self._engine.look(call)
            patient = seen.key
            request = None if asked.dry_run else await self._request(call, asked.request, patient)
            if became := await self._merges.into(seen.masked_from or seen):
                raise ConflictError(f"The record became part of {became}: erase that, or undo the merge first.")
            found = await self._found(call, patient)
            if request is None:
                attempt.disclosed.append(seen)
                return Plan(found.parts)
            going = {one.record for one in found.verdicts if isinstance(one, Erase)}
            if not going:
                raise ConflictError(_refusal(found.verdicts))
            keys = tuple(sorted({key for record, key in found.keys if record in going}))
            change = await self._change(call, request, found, keys)
            await self._engine.store.commit([change])
            attempt.committed = True
        cause = f"{change.key}/_history/{change.version}"
        # At once, so that nothing new is sealed under a key that goes. Where it fails, the task does it.
        with suppress(FhirError, CryptoError):
            await self._holdings.destroy(keys, cause)
        return Plan(found.parts, self._scribe.erasure_key(patient.id, cause))

    async def _change(self, call: Call, request: Stored, found: _Found, keys: tuple[bytes, ...]) -> Change:
        """The request, done, and with it in one commit all that is erased and the task that ends the keys."""
        resource = done(request.resource, found.verdicts, keys)
        drawn_up = self._engine.drafts.of(request.key, resource, request)
        change = await self._engine.drafts.prepared(call, drawn_up)
        cause = f"{change.key}/_history/{change.version}"
        return change.erasing(Erasure(keys)).on_condition(found.holds).queueing(Task(SHRED, str(call.id), cause))

    async def _request(self, call: Call, key: ResourceKey | None, patient: ResourceKey) -> Stored:
        stored = await self._engine.store.read(key) if key else None
        if stored is None or stored.deleted or not is_request(stored.resource, patient):
            raise UnprocessableError(
                "`request` must name an open Task with the code `erase` for this patient, no draft."
            )
        if not await self._is_by_another(stored, author_of(call.principal), patient):
            raise ForbiddenError("Who asked for an erasure does not carry it out: it takes two.")
        return stored

    async def _is_by_another(self, request: Stored, oneself: str, patient: ResourceKey) -> bool:
        """As it stands; or as it was first written, if it was open ever since: who only handles it did not ask.

        One that was taken back and is opened again is asked for by who opens it.
        """
        if request.author not in {"", oneself}:
            return True
        if request.version > _MOST_VERSIONS:
            return False
        store, earlier = self._engine.store, range(1, request.version)
        versions = [await store.read_version(request.key, version) for version in earlier]
        was_open = all(one and not one.deleted and is_request(one.resource, patient) for one in versions)
        return was_open and any(one and one.author not in {"", oneself} for one in versions[:1])

    async def _found(self, call: Call, patient: ResourceKey) -> _Found:
        holds, matched = await self._holds(patient)
        stored = await self._engine.store.read(patient)
        # Of records that became this one, earlier versions lie under keys of their own.
        before = await self._merges.gathered(stored) if stored and not stored.deleted else ()
        held = [one for id in (patient.id, *before) for one in await self._holdings.of(id)]
        keys = [(one.record, one.key) for one in held]
        keys += [pair for id in before for pair in (await self._holdings.keys(id)).items()]
        born = birth(stored.resource) if stored and not stored.deleted else None
        decided = verdicts(entries(held, call.instant), self._pack, holds, call.instant.date(), born)
        return _Found(held, decided, matched, await self._parts(patient, held, decided), tuple(keys))

    async def _holds(self, patient: ResourceKey) -> tuple[list[str], Condition]:
        """The open ones; and that there are no more of them at the instant of the commit."""
        query = self._holds_of(patient)
        found = (await self._engine.store.find(query, None, _MOST_HOLDS)).matches
        matched = Condition(query, frozenset(stored.key for stored in found))
        return [str(stored.key) for stored in found if is_open(stored.resource)], matched

    def _holds_of(self, patient: ResourceKey) -> Query:
        return parse("Task", (("patient", str(patient)), ("code", HOLDS)), self._engine.language)

    async def _parts(
        self, patient: ResourceKey, held: Sequence[Holding], decided: Sequence[Verdict]
    ) -> tuple[Part, ...]:
        there = [holding for holding in held if not holding.stored.deleted]
        class_of = {holding.stored.key: holding.record for holding in held}
        photos = [class_of.get(photo.owner) for photo in await self._vault.of_patient(patient.id, {LIVE})]
        return tuple(
            Part(one, len({held.stored.key for held in there if held.record is one.record}), photos.count(one.record))
            for one in decided
        )


def _refusal(decided: Sequence[Verdict]) -> str:
    kept = [one for one in decided if isinstance(one, Keep)]
    reasons = ", ".join(f"{one.record} by {one.because}{f' until {one.until}' if one.until else ''}" for one in kept)
    return f"Nothing may be erased now: {reasons or 'there is nothing'}."


def asked_of(body: object) -> Asked:
    """Raises UnprocessableError where it is not said whether to do it or only to tell."""
    values: Mapping[str, object] = named(body)
    dry = values.get("dryRun", False)
    if not isinstance(dry, bool):
        raise UnprocessableError("`dryRun` is a valueBoolean.")
    request = values.get("request")
    if not dry and not isinstance(request, ResourceKey):
        raise UnprocessableError("Parameters must have `request`, a valueReference to a Task, or `dryRun`.")
    return Asked(dry, request if isinstance(request, ResourceKey) else None)
