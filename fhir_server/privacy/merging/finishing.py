"""The worker's duty after a merge or its undoing: what came late moves as well, and the old seals of photos end.

A task handler: may be stopped anywhere and run again. What it goes by stands in the Provenance of that commit.
"""

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.media.ports import CONDEMNED, PhotoVault
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.moving import Moving
from fhir_server.privacy.merging.record import MERGED, Merges, Pair, provenance, written

FINISH_MERGE = "finish-merge"


def finish(pair: Pair, record: ResourceKey) -> Task:
    return Task(FINISH_MERGE, pair.source, f"{record}/_history/1")


class Finishing:
    """`server` is who acts for its duties."""

    def __init__(
        self,
        engine: Engine,
        moving: Moving,
        vault: PhotoVault,
        both: Both,
        new_id: NewId,
        clock: Clock,
        server: Principal,
    ) -> None:
        self._engine, self._moving, self._vault = engine, moving, vault
        self._both, self._new_id, self._clock, self._server = both, new_id, clock, server
        self._merges = Merges(engine)

    async def __call__(self, task: Task) -> None:
        key = parse_reference(task.cause)
        record = await self._engine.store.read(key) if key else None
        if record is None or record.deleted:
            raise UnavailableError("The record of the merge is not there; the task runs again.")
        pair = _pair(record)
        # 1. What somebody wrote into the old record in that moment.
        while await self._move_rest(pair, record.key):
            pass
        # 2. What photos were sealed with before: nothing leads to it any more.
        owners = {owner for owner, _ in written(record)}
        for patient in (pair.source, pair.target):
            condemned = await self._vault.of_patient(patient, {CONDEMNED})
            await self._vault.destroy([one for one in condemned if one.owner in owners], task.cause)

    async def _move_rest(self, pair: Pair, merge: ResourceKey) -> bool:
        """Was there something? It gets a record of its own, so that it is given back with the others.

        What an undoing has just given back names the old record too: it stays there, for the merge stands no more.
        Raises ConflictError where it is undone in this very moment.
        """
        standing, unchanged = await self._merges.seen(pair)
        if all(one.key != merge for one in standing):
            return False
        moves = await self._moving.of(pair.source, pair.target)
        if not moves:
            return False
        moved = await self._moving.moved(moves, pair.target)
        try:
            record = ResourceKey("Provenance", self._new_id())
            wrote = [f"{one.key}/_history/{one.version}" for one in moved.changes]
            now = self._clock.now()
            said = provenance(MERGED, pair, wrote, (), self._server, instant(now))
            asking = Call(Interaction.CREATE, self._server, now, "Provenance")
            trail = (await self._both.record(asking, record, said)).queueing(finish(pair, record))
            await self._engine.store.commit([trail.on_condition(unchanged), *moved.changes])
        except BaseException:
            await self._moving.discard(moved.poured)
            raise
        return True


def _pair(record: Stored) -> Pair:
    """Only the server writes such a record, and always with both."""
    source, target = record.resource["entity"][0]["what"], record.resource["target"][0]
    keys = [parse_reference(one["reference"]) for one in (source, target)]
    return Pair(*(key.id if key else "" for key in keys))
