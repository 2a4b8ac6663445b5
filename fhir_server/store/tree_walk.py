"""Walks the log in the database from its first event to its newest checkpoint, and stops at the first thing wrong.

sealed-storage section 6. Nothing is believed but the log's key: events are hashed again, roots made again.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pymongo import ASCENDING

from fhir_server.crypto import checkpoint, tree
from fhir_server.crypto.checkpoint import Checkpoint
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.tree import HASH, TileId, leaf_hash
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.lanes import entry_of
from fhir_server.store.tree_rows import Run, TreeRows

_RUNS_AT_ONCE = 100
_MOST_PENDING = 64


class BreakError(Exception):
    """The first thing that is not as it was recorded."""


@dataclass(slots=True)
class Walked:
    """How far the walk came: how many leaves, and the last number of each writer among them."""

    size: int = 0
    last: dict[str, int] = field(default_factory=dict)


class Watcher(Protocol):
    """Who goes along."""

    def see(self, place: int, row: Document) -> None:
        """The row of an event, with its place in the tree."""
        ...

    async def reached(self) -> None:
        """All that was seen so far is what the tree was made of."""
        ...


class TreeWalk:
    def __init__(self, collections: Collections, key: str, watcher: Watcher) -> None:
        self._to, self._rows, self._key, self._watcher = collections, TreeRows(collections), key, watcher
        self._walked = Walked()
        self._tiles: dict[TileId, bytes] = {}

    async def walk(self, kept: Sequence[Checkpoint]) -> Walked:
        """`kept`: checkpoints that somebody has from earlier. Raises BreakError."""
        await self._rows.settle()
        waiting = sorted(kept, key=lambda one: one.size)
        leaves = self._leaves()
        async for signed in self._checkpoints():
            while waiting and waiting[0].size <= signed.size:
                await self._reach(leaves, waiting.pop(0), "that was kept elsewhere")
            await self._reach(leaves, signed, "that the log signed")
        if waiting:
            size, had = self._walked.size, waiting[-1].size
            raise BreakError(f"The log was rolled back: it has {size} entries, and once had {had}.")
        await self._require_end()
        await self._compare()
        return self._walked

    async def _require_end(self) -> None:
        """Nothing lies behind the last checkpoint; unless the log grew meanwhile."""
        size = self._walked.size
        if not await self._rows.runs(size, 1):
            return
        with seam():
            later = await self._to.checkpoints.find_one({"_id": {"$gte": size}})
        if later is None:
            raise BreakError(f"{await self._named(size)}: no checkpoint signs it.")

    async def _checkpoints(self) -> AsyncIterator[Checkpoint]:
        size = 0
        with seam():
            async for row in self._to.checkpoints.find({"runs": {"$exists": False}}).sort("_id", ASCENDING):
                try:
                    signed = checkpoint.opened(str(row["note"]), self._key)
                except SignatureError:
                    raise BreakError(f"The checkpoint after {size} entries is not signed by this log.") from None
                if row["_id"] != size or row["size"] != signed.size or signed.size <= size:
                    raise BreakError(f"After {size} entries a checkpoint is missing, or one is not in its place.")
                size = signed.size
                yield signed

    async def _reach(self, leaves: AsyncIterator[bytes], goal: Checkpoint, whose: str) -> None:
        """Walk on to the size of a checkpoint, and make its root again."""
        start = self._walked.size
        hashes: list[bytes] = []
        while start + len(hashes) < goal.size:
            try:
                hashes.append(await anext(leaves))
            except StopAsyncIteration:
                raise BreakError(
                    f"Leaf {start + len(hashes)}: it is signed for, and nothing tells its event."
                ) from None
        edge = {id: self._tiles[id] for id in tree.edge(start)}
        grown = tree.appended(start, edge, hashes)
        self._walked.size = goal.size
        self._tiles |= grown
        if tree.root(goal.size, {**edge, **grown}) != goal.root:
            raise BreakError(await self._blame(start, hashes, f"The checkpoint of {goal.size} entries {whose}"))
        await self._watcher.reached()
        if len(self._tiles) > _MOST_PENDING:
            await self._compare()

    async def _leaves(self) -> AsyncIterator[bytes]:
        """The events in the order that the runs tell, hashed again."""
        at = 0
        while runs := await self._rows.runs(at, _RUNS_AT_ONCE):
            for run in runs:
                expected = self._walked.last.get(run.writer, 0) + 1
                if run.start != at or run.first != expected or run.length < 1:
                    raise BreakError(f"Leaf {at}: the events from there on are not told, or not in their order.")
                self._walked.last[run.writer] = run.last
                async for row in self._events(run):
                    self._watcher.see(at, row)
                    yield leaf_hash(entry_of(row))
                    at += 1

    async def _events(self, run: Run) -> AsyncIterator[Document]:
        places = {"$gte": {"w": run.writer, "n": run.first}, "$lte": {"w": run.writer, "n": run.last}}
        number = run.first
        with seam():
            async for row in self._to.audit.find({"_id": places}).sort("_id", ASCENDING):
                if row["_id"]["n"] != number:
                    break
                yield row
                number += 1
        if number <= run.last:
            raise BreakError(f"Leaf {run.start + number - run.first}, event {run.writer}-{number}: it was deleted.")

    async def _blame(self, start: int, hashes: Sequence[bytes], goal: str) -> str:
        """Which event it was, by the hashes that are kept of each; where those were changed too, what does not fit."""
        kept = await self._rows.tiles(
            [TileId(0, number) for number in range(start // 256, self._walked.size // 256 + 1)]
        )
        for place, hashed in enumerate(hashes, start):
            tile, at = kept.get(TileId(0, place // tree.WIDTH), b""), place % tree.WIDTH * HASH
            if tile[at : at + HASH] != hashed:
                return f"{await self._named(place)}: it is not what was recorded."
        return f"{goal} is not that of the events from leaf {start} on, nor of those before."

    async def _compare(self) -> None:
        """The tiles that others are shown are those that the events make."""
        stored = await self._rows.tiles(list(self._tiles))
        for id, hashes in self._tiles.items():
            if not stored.get(id, b"").startswith(hashes):
                raise BreakError(f"Tile {tree.path_of(id)} is not that of the events.")
        left = set(tree.edge(self._walked.size))
        self._tiles = {id: hashes for id, hashes in self._tiles.items() if id in left}

    async def _named(self, place: int) -> str:
        run = await self._rows.run_at(place)
        return f"Leaf {place}" + (f", event {run.writer}-{run.first + place - run.start}" if run else "")
