"""Rebuilds the tokens of every row in a new way while servers go on: resumable, one at a time, never in between.

sealed-storage section 2; what-users-ask 20. The steps:

1. Say what is wanted: the rules of this code, the active SearchParameters, what is to be found by any part.
2. What the new way lacks, searches stop to rely on, in every process.
3. Make it the target: as soon as a process knows, whatever it writes is written so.
4. Go over all rows, rewrite those that are written otherwise.
5. When nobody can be writing in another way any more, go over them until a whole round finds none.
6. Make the target the active one: only now do searches rely on it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError
from fhir_server.search.custom import MOST, taken
from fhir_server.search.registry import RULES
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.layout import Layout, highest, layout_of
from fhir_server.store.layouts import MARGIN, Layouts
from fhir_server.store.lone_runner import LoneRunner
from fhir_server.store.opening import Opening
from fhir_server.store.rewriting import Rewriting

_MOST_STORED = 5 * MOST

LONGEST_WRITE = 75.0
"""MongoDB ends a transaction after 60 seconds (`transactionLifetimeLimitSeconds`), also one that writes old rows."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`problems`: SearchParameters that do not take part, by id, and why."""

    layout: Layout
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Progress:
    """`seen` of about `rows` rows in this round, `rewritten` of them so far in all; `damaged` ones do not open."""

    words: str
    rewritten: int = 0
    damaged: int = 0
    seen: int = 0
    rows: int = 0


class Reindexing:
    def __init__(
        self, collections: Collections, layouts: Layouts, rewriting: Rewriting, opening: Opening, clock: Clock
    ) -> None:
        self._resources, self._layouts, self._rewriting = collections.resources, layouts, rewriting
        self._opening, self._clock = opening, clock

    async def wanted(self, inside: Sequence[str]) -> Wanted:
        """Step 1. A SearchParameter takes part when its status is active."""
        with seam():
            cursor = self._resources.find({"type": "SearchParameter", "deleted": False}, UNSEARCHED, hint="changes")
            found = await cursor.to_list(_MOST_STORED)
        opened = [each for each in await self._opening.rows(found) if each.resource.get("status") == "active"]
        active = opened[:MOST]
        problems = taken([each.resource for each in active]).problems
        problems = {**problems, **{each.key.id: f"only {MOST} take part" for each in opened[MOST:]}}
        custom = tuple(sorted((each.key.id, each.version) for each in active if each.key.id not in problems))
        return Wanted(Layout(0, RULES, custom, tuple(sorted(set(inside)))), problems)

    async def is_due(self, wanted: Layout) -> bool:
        """Are there rows of another version than what is wanted?"""
        state = await self._layouts.state()
        active = layout_of(state["active"])
        return state["complete"] != active.number or not wanted.same_as(active)

    async def run(
        self, wanted: Layout, *, again: bool = False, alone: bool = False, longest_write: float = LONGEST_WRITE
    ) -> AsyncIterator[Progress]:
        """Goes on where an earlier run for the same layout stopped.

        `again`: also where all is as it should be. `alone`: no other process is running, so nobody has to be waited
        for. Raises ConflictError while another one runs.
        """
        if not again and not await self.is_due(wanted):
            yield Progress("Everything is indexed in this way already.")
            return
        runner = LoneRunner(self._layouts, self._clock)
        async with runner.holding():
            target = await self._target(wanted, runner, alone=alone)
            began = asyncio.get_running_loop().time()
            yield Progress(f"Layout {target.number}: rewriting.")
            rewritten = damaged = 0
            async for each in self._rewriting.round(runner, self._layouts.writing):
                rewritten, damaged = rewritten + each.rewritten, damaged + each.damaged
                yield Progress("Rewriting.", rewritten, damaged, each.seen, each.rows)
            if not alone:
                yield Progress("Waiting for writes that may still be under way.", rewritten, damaged)
                await runner.wait(began + self._layouts.patience + longest_write)
            while True:
                before = rewritten
                async for each in self._rewriting.round(runner, self._layouts.writing):
                    rewritten, damaged = rewritten + each.rewritten, damaged + each.damaged
                    yield Progress("Looking again.", rewritten, damaged, each.seen, each.rows)
                if rewritten == before:
                    break
            done = {"active": target.document(), "target": None, "complete": target.number, "done": {}}
            if not await self._layouts.change({"target.number": target.number, **runner.held}, {"$set": done}):
                raise ConflictError("Somebody else took over rebuilding the index.")
            await self._layouts.look()
            yield Progress(f"Layout {target.number} is in force.", rewritten, damaged)

    async def _target(self, wanted: Layout, runner: LoneRunner, *, alone: bool) -> Layout:
        """Steps 2 and 3; where an earlier run got that far, what it began."""
        state = await self._layouts.state()
        if state["target"] and wanted.same_as(layout_of(state["target"])):
            await self._layouts.look()
            return layout_of(state["target"])
        active, top = layout_of(state["active"]), highest(state)
        kept = replace(active.without_what_lacks_in(wanted), number=top + 1)
        if not kept.same_as(active):
            await runner.change({"$set": {"active": kept.document()}})
            if not alone:
                await runner.wait(asyncio.get_running_loop().time() + self._layouts.patience + MARGIN)
        target = replace(wanted, number=top + 2)
        await runner.change({"$set": {"target": target.document(), "done": {}}})
        await self._layouts.look()
        return target
