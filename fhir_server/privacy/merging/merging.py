"""`Patient/$merge`: all of one record is sealed anew as the other's, with one commit; the empty one leads there.

R4 defines no merge; the parameters are those of R5 (https://hl7.org/fhir/R5/patient-operation-merge.html). Architecture
section 9: only `$reassign`, `$merge` and `$unmerge` move a photo.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.attempting import Asked, Attempting, Outcome
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.conflicts import require_free, require_mergeable
from fhir_server.privacy.merging.finishing import Finishing, finish
from fhir_server.privacy.merging.moving import Move, Moving, as_seen
from fhir_server.privacy.merging.patients import given_up, taking_over
from fhir_server.privacy.merging.record import MERGED, Merges, Pair, provenance
from fhir_server.privacy.merging.stricter import ended, ending


class Merging:
    def __init__(self, engine: Engine, both: Both, moving: Moving, finishing: Finishing, new_id: NewId) -> None:
        self._engine, self._both, self._moving, self._new_id = engine, both, moving, new_id
        self._attempting = Attempting(engine, both, finishing)
        self._merges = Merges(engine)

    async def merge(self, call: Call, asked: Asked) -> Outcome:
        """Raises ConflictError where the two may not become one."""
        return await self._attempting.outcome(call, asked, self._once)

    async def _once(self, call: Call, asked: Asked) -> Outcome:
        pair = asked.pair
        seen = await self._both.seen(call, pair)
        source, target = map(as_seen, seen)
        require_mergeable(source, target, merged=bool(await self._merges.of(pair)))
        (holds, held), (others, other_held) = [await self._both.holds(key) for key in pair.keys]
        heads = await self._both.heads(pair)
        mine, theirs = [await self._both.consents(head) for head in heads]
        require_free([*holds, *others], [*mine, *theirs])
        giving_way = ending(mine, theirs)
        moves = await self._moves(pair, theirs, giving_way)
        result = taking_over(_result(asked, target), source.resource, source.key)
        patients = [
            await self._both.patient(call, seen[1], result, other_held, heads[1]),
            await self._both.patient(call, seen[0], given_up(source.resource, target.key), held, heads[0]),
        ]
        shown = seen[1].showing(taking_over(_result(asked, seen[1]), seen[0].resource, source.key))
        outcome = Outcome(shown, tuple(move.stored.key for move in moves), tuple(sorted(giving_way)))
        return outcome if asked.preview else await self._commit(call, pair, outcome, patients, moves)

    async def _commit(
        self, call: Call, pair: Pair, outcome: Outcome, patients: Sequence[Change], moves: Sequence[Move]
    ) -> Outcome:
        moved = await self._moving.moved(moves, pair.target)
        try:
            record = ResourceKey("Provenance", self._new_id())
            wrote = [f"{one.key}/_history/{one.version}" for one in (*patients, *moved.changes)]
            said = provenance(MERGED, pair, wrote, (), call.principal, instant(call.instant))
            trail = (await self._both.record(call, record, said)).queueing(finish(pair, record))
            await self._engine.store.commit([*patients, trail, *moved.changes])
        except BaseException:
            await self._moving.discard(moved.poured)
            raise
        return replace(outcome, record=record)

    async def _moves(
        self, pair: Pair, theirs: Sequence[Stored], giving_way: dict[ResourceKey, Stored]
    ) -> Sequence[Move]:
        """What comes over, and the consents of the record that stays which give way to one that comes."""
        coming = await self._moving.of(pair.source, pair.target)
        staying = [Move(one, one.resource) for one in theirs if one.key in giving_way]
        return [
            replace(move, resource=ended(move.resource, giving_way[move.stored.key].key))
            if move.stored.key in giving_way
            else move
            for move in (*coming, *staying)
        ]


def _result(asked: Asked, target: Stored) -> Json:
    if asked.result is None:
        return target.resource
    if asked.result.get("id") != target.key.id:
        raise UnprocessableError("result-patient has the id of target-patient.", expression="Parameters.parameter")
    return asked.result
