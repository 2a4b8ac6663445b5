"""`Patient/$unmerge`: what came from a record goes back to it, sealed under its own key again; the rest is told.

GDPR Art. 5(1)(d): two people whose records were made one. What was written since the merge stays where it was written:
whom it is about, a person has to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_server.consent.terms import in_force
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ConflictError, TooCostlyError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.attempting import Asked, Attempting, Outcome
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.conflicts import REPLACED_BY, linked, require_free
from fhir_server.privacy.merging.finishing import Finishing, finish
from fhir_server.privacy.merging.moving import MOST, Move, Moving, as_seen
from fhir_server.privacy.merging.patients import letting_go, restored
from fhir_server.privacy.merging.record import UNMERGED, Merges, Pair, provenance, written
from fhir_server.privacy.merging.repointing import given_back


class Unmerging:
    def __init__(self, engine: Engine, both: Both, moving: Moving, finishing: Finishing, new_id: NewId) -> None:
        self._engine, self._both, self._moving, self._new_id = engine, both, moving, new_id
        self._attempting = Attempting(engine, both, finishing)
        self._merges = Merges(engine)

    async def unmerge(self, call: Call, asked: Asked) -> Outcome:
        """Raises ConflictError where there is no merge of the two to be undone."""
        return await self._attempting.outcome(call, asked, self._once)

    async def _once(self, call: Call, asked: Asked) -> Outcome:
        pair = asked.pair
        seen = await self._both.seen(call, pair)
        source, target = map(as_seen, seen)
        merges = await self._merges.of(pair)
        if not merges:
            raise ConflictError(f"{source.key} is not merged into {target.key} here.")
        if by := linked(target.resource, REPLACED_BY):
            raise ConflictError(f"{target.key} is itself replaced by {min(by)}: undo that first.")
        (holds, held), (others, other_held) = [await self._both.holds(key) for key in pair.keys]
        heads = await self._both.heads(pair)
        mine, theirs = [await self._both.consents(head) for head in heads]
        require_free([*holds, *others], [*mine, *theirs])
        wrote = {key: version for record in merges for key, version in written(record)}
        back, own = await self._moves(pair, wrote)
        if len(back) + len(own) > MOST:
            raise TooCostlyError(f"More than {MOST} resources would move with one commit.")
        patients = [
            await self._both.patient(call, seen[1], await self._kept(target, source, wrote), other_held, heads[1]),
            await self._both.patient(call, seen[0], await self._restored(source, target, wrote), held, heads[0]),
        ]
        stayed = await self._written_since(pair, merges[0].seq, wrote)
        shown = seen[1].showing(await self._kept(target, source, wrote, seen[1]))
        outcome = Outcome(shown, tuple(move.stored.key for move in back), (), stayed)
        return outcome if asked.preview else await self._commit(call, pair, outcome, patients, back, own, merges)

    async def _commit(
        self,
        call: Call,
        pair: Pair,
        outcome: Outcome,
        patients: Sequence[Change],
        back: Sequence[Move],
        own: Sequence[Move],
        merges: Sequence[Stored],
    ) -> Outcome:
        moved = await self._moving.moved(back, pair.source)
        try:
            kept = await self._moving.moved(own, pair.target)
            changes = [*patients, *moved.changes, *kept.changes]
            record = ResourceKey("Provenance", self._new_id())
            wrote = [f"{one.key}/_history/{one.version}" for one in changes]
            said = provenance(UNMERGED, pair, wrote, merges, call.principal, instant(call.instant))
            trail = (await self._both.record(call, record, said)).queueing(finish(pair, record))
            await self._engine.store.commit([trail, *changes])
        except BaseException:
            await self._moving.discard(moved.poured)
            raise
        return replace(outcome, record=record)

    async def _moves(self, pair: Pair, wrote: Mapping[ResourceKey, int]) -> tuple[list[Move], list[Move]]:
        """What goes back; and the permissions of the record that stayed which gave way to one that goes back."""
        back, own = [], []
        for key, version in wrote.items():
            now = await self._engine.store.read(key)
            if key.type == "Patient" or now is None or now.deleted or pair.target not in now.subjects:
                continue  # deleted since, or moved elsewhere by somebody who knew
            now = await now.whole()
            was = await self._before(key, version)
            revives = (
                key.type == "Consent" and was is not None and now.version == version and not in_force(now.resource)
            )
            revives = revives and was is not None and in_force(was.resource)
            if was is None or pair.source in was.subjects:
                told = was.resource if was else None
                said = given_back(now.resource, told, pair.source, pair.target, self._moving.base)
                back.append(Move(now, was.resource if was and revives else said, revives))
            elif revives:
                own.append(Move(now, was.resource, revives))
        return back, own

    async def _before(self, key: ResourceKey, version: int) -> Stored | None:
        """What it was before the merge; None where that was erased since."""
        found = await self._engine.store.read_version(key, version - 1)
        return await found.whole() if found is not None and not found.deleted else None

    async def _restored(self, source: Stored, target: Stored, wrote: Mapping[ResourceKey, int]) -> Json:
        """As it was, where nobody has changed it since."""
        version = wrote[source.key]
        was = await self._before(source.key, version) if source.version == version else None
        return restored(source.resource, was.resource if was else None, target.key)

    async def _kept(
        self, target: Stored, source: Stored, wrote: Mapping[ResourceKey, int], seen: Stored | None = None
    ) -> Json:
        """`seen`: the part of it that the caller sees."""
        was = await self._before(target.key, wrote[target.key])
        shown = (seen or target).resource
        return letting_go(shown, was.resource if was else {}, source.resource, source.key)

    async def _written_since(self, pair: Pair, seq: int, wrote: Mapping[ResourceKey, int]) -> tuple[ResourceKey, ...]:
        """What the record that stays has got since the merge: whom it is about, nobody told."""
        found = []
        for one in await self._moving.named(pair.target):
            if one.seq > seq and one.key not in wrote:
                first = one if one.version == 1 else await self._engine.store.read_version(one.key, 1)
                if first is None or first.seq > seq:
                    found.append(one.key)
        return tuple(sorted(found))
