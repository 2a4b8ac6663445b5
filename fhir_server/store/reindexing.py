"""Rebuilds the tokens of every row in a new way while servers go on: resumable, one at a time, never in between.

sealed-storage section 2; what-users-ask 20. The steps:

1. Say what is wanted: the rules of this code, the active SearchParameters, what is to be found by any part.
2. Make it the target, and wait until every process knows: from then on whatever is written is written so.
3. Go over all rows, rewrite those that are written otherwise; again until a whole round finds none.
4. Make the target the active one: only now do searches rely on it.
What the new way lacks, searches stop to rely on before step 3.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError, UnavailableError
from fhir_server.kernel.identity import random_id
from fhir_server.search.custom import taken
from fhir_server.search.registry import RULES, Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.events import Events
from fhir_server.store.indexing import Indexing
from fhir_server.store.layouts import Layout, Layouts, layout_of
from fhir_server.store.opening import Opening

_AT_ONCE = 200
_LEASE = 60.0
_GRACE = 2.0
"""Seconds beyond the others' patience: a write may have been under way."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`problems`: SearchParameters that do not take part, by id, and why."""

    layout: Layout
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Progress:
    """`rewritten` rows so far, `damaged` ones among them, which stay as they were."""

    words: str
    rewritten: int = 0
    damaged: int = 0


class Reindexing:
    def __init__(
        self,
        collections: Collections,
        layouts: Layouts,
        indexing: Indexing,
        events: Events,
        opening: Opening,
        clock: Clock,
    ) -> None:
        self._to, self._layouts, self._indexing = collections, layouts, indexing
        self._events, self._opening, self._clock = events, opening, clock

    async def wanted(self, inside: Sequence[str]) -> Wanted:
        """Step 1. A SearchParameter takes part when its status is active."""
        with seam():
            cursor = self._to.resources.find({"type": "SearchParameter", "deleted": False}, UNSEARCHED, hint="changes")
            found = await cursor.to_list(None)
        active = [each for each in await self._opening.rows(found) if each.resource.get("status") == "active"]
        problems = taken([each.resource for each in active]).problems
        custom = tuple(sorted((each.key.id, each.version) for each in active if each.key.id not in problems))
        return Wanted(Layout(0, RULES, custom, tuple(sorted(set(inside)))), problems)

    async def run(self, wanted: Layout, *, again: bool = False) -> AsyncIterator[Progress]:
        """Goes on where an earlier run for the same layout stopped. `again`: also what is as it should be.

        Raises ConflictError while another one runs.
        """
        async with self._alone() as runner:
            state = await self._layouts.state()
            active = layout_of(state["active"])
            target = layout_of(state["target"]) if state["target"] else None
            if target is None and wanted.same_as(active) and not again:
                yield Progress("Everything is indexed in this way already.")
                return
            if target is None or not wanted.same_as(target):
                number = max(active.number, target.number if target else 0) + 1
                target = replace(wanted, number=number)
                await self._layouts.change({}, {"$set": {"target": target.document(), "done": ""}})
                await self._withhold(active, target)
            yield Progress(f"Layout {target.number}. Waiting until every server knows.")
            await asyncio.sleep(self._layouts.patience + _GRACE)
            await self._layouts.look()
            async for progress in self._rounds(runner):
                yield progress
            await self._layouts.change(
                {"target.number": target.number}, {"$set": {"active": target.document(), "target": None}}
            )
            await self._layouts.look()
            yield Progress(f"Layout {target.number} is in force.")

    async def _withhold(self, active: Layout, target: Layout) -> None:
        """What will be gone is not relied on from now; searches by it are refused, and none finds too little."""
        kept = replace(
            active,
            custom=tuple(each for each in active.custom if each in target.custom),
            inside=tuple(each for each in active.inside if each in target.inside),
        )
        if not kept.same_as(active):
            withheld = replace(kept, number=target.number - 1)
            await self._layouts.change({}, {"$set": {"active": withheld.document()}})

    async def _rounds(self, runner: str) -> AsyncIterator[Progress]:
        """Until a whole round has nothing left to do: somebody may have written in the old way during the first."""
        rewritten = damaged = 0
        while True:
            before = rewritten
            async for count, lost in self._round(runner):
                rewritten, damaged = rewritten + count, damaged + lost
                yield Progress("Rewriting.", rewritten, damaged)
            with seam():
                await self._layouts.change({}, {"$set": {"done": ""}})
            if rewritten == before:
                return

    async def _round(self, runner: str) -> AsyncIterator[tuple[int, int]]:
        registry = self._layouts.writing
        last = str((await self._layouts.state()).get("done", ""))
        while True:
            rows = await self._stale(self._to.resources, registry, last)
            if not rows:
                break
            yield await self._rewrite(rows, registry)
            last = rows[-1]["_id"]
            await self._keep(runner, last)
        while rows := await self._stale(self._to.audit_index, registry, ""):
            yield await self._events.reindex(rows, registry), 0
            await self._keep(runner, last)

    async def _stale(self, collection: AsyncCollection[Document], registry: Registry, after: str) -> Sequence[Document]:
        wanted = {"_id": {"$gt": after}, "deleted": False, "layout": {"$ne": registry.number}}
        with seam():
            cursor = collection.find(wanted, UNSEARCHED, hint="_id_").sort("_id", 1).limit(_AT_ONCE)
            found: list[Document] = await cursor.to_list(None)
        return found

    async def _rewrite(self, rows: Sequence[Document], registry: Registry) -> tuple[int, int]:
        """How many were rewritten, and how many of them do not open: these keep their tokens."""
        tokens: dict[str, list[int]] = {row["_id"]: [] for row in rows}
        damaged: set[str] = set()
        for row in rows:
            try:
                for stored in await self._opening.rows([row]):
                    tokens[row["_id"]] = self._indexing.tokens(stored.resource, stored.access, registry)
            except UnavailableError:
                damaged.add(row["_id"])
        updates = [
            UpdateOne(
                {"_id": row["_id"], "version": row["version"]},
                {
                    "$set": {
                        "layout": registry.number,
                        **({} if row["_id"] in damaged else {"tokens": tokens[row["_id"]]}),
                    }
                },
            )
            for row in rows
        ]
        with seam():
            await self._to.resources.bulk_write(updates, ordered=False)
        return len(rows), len(damaged)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[str]:
        runner, now = random_id(), self._clock.now().timestamp()
        free = {"$or": [{"runner": {"$exists": False}}, {"runner.until": {"$lt": now}}]}
        if not await self._layouts.change(free, {"$set": {"runner": {"id": runner, "until": now + _LEASE}}}):
            raise ConflictError("The index is being rebuilt already.")
        try:
            yield runner
        finally:
            await self._layouts.change({"runner.id": runner}, {"$unset": {"runner": ""}})

    async def _keep(self, runner: str, done: str) -> None:
        until = self._clock.now().timestamp() + _LEASE
        if not await self._layouts.change({"runner.id": runner}, {"$set": {"runner.until": until, "done": done}}):
            raise ConflictError("Somebody else took over rebuilding the index.")
