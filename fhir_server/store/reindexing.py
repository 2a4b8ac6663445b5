"""Rebuilds the tokens of every row in a new way while servers go on: resumable, one at a time, never in between.

sealed-storage section 2; what-users-ask 20. The steps:

1. Say what is wanted: the rules of this code, the active SearchParameters, what is to be found by any part.
2. What the new way lacks, searches stop to rely on, in every process.
3. Make it the target: as soon as a process knows, whatever it writes is written so.
4. Go over all rows, rewrite those that are written otherwise.
5. When nobody can be writing in another way any more, go over them until a whole round finds none.
6. Make the target the active one: only now do searches rely on it.

A new token key takes two of these, and then the old one is destroyed (`store.token_epochs`).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError
from fhir_server.search.registry import RULES
from fhir_server.store.definition_rows import Definitions
from fhir_server.store.layout import Layout, highest, layout_of
from fhir_server.store.layouts import MARGIN, Layouts
from fhir_server.store.lone_runner import LoneRunner
from fhir_server.store.rewriting import Rewriting
from fhir_server.store.token_epochs import Ending, epoch_of, steps

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
        self, layouts: Layouts, rewriting: Rewriting, definitions: Definitions, ending: Ending, clock: Clock
    ) -> None:
        self._layouts, self._rewriting, self._clock = layouts, rewriting, clock
        self._definitions, self._ending = definitions, ending

    async def wanted(self, inside: Sequence[str]) -> Wanted:
        """Step 1. A SearchParameter takes part when its status is active."""
        custom, problems = await self._definitions.active()
        state = await self._layouts.state()
        return Wanted(Layout(0, RULES, custom, tuple(sorted(set(inside))), (epoch_of(state),)), problems)

    async def is_due(self, wanted: Layout) -> bool:
        """Are there rows of another version than what is wanted, or keys of tokens that are to end?"""
        state = await self._layouts.state()
        return bool(steps(state, wanted) or state.get("ending"))

    async def run(
        self,
        wanted: Layout,
        *,
        again: bool = False,
        new_key: bool = False,
        alone: bool = False,
        longest_write: float = LONGEST_WRITE,
    ) -> AsyncIterator[Progress]:
        """Goes on where an earlier run for the same layout stopped.

        `again`: also where all is as it should be. `new_key`: tokens are made with a new key from then on, and the old
        one is destroyed; where that is under way already, it is finished. `alone`: no other process is running, so
        nobody has to be waited for. Raises ConflictError while another one runs.
        """
        if not again and not new_key and not await self.is_due(wanted):
            yield Progress("Everything is indexed in this way already.")
            return
        runner = LoneRunner(self._layouts, self._clock)
        rewritten = damaged = 0
        async with runner.holding():
            if new_key:
                await self._ending.begin(runner)
            for step in steps(await self._layouts.state(), wanted, again=again):
                before = rewritten, damaged
                async for each in self._made(step, runner, alone=alone, longest_write=longest_write):
                    rewritten, damaged = before[0] + each.rewritten, before[1] + each.damaged
                    yield replace(each, rewritten=rewritten, damaged=damaged)
            for epoch in await self._ending.finish(runner):
                yield Progress(f"The key of epoch {epoch} was destroyed.", rewritten, damaged)

    async def _made(
        self, wanted: Layout, runner: LoneRunner, *, alone: bool, longest_write: float
    ) -> AsyncIterator[Progress]:
        """Steps 2 to 6 for one layout."""
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
        await self._ending.require_all_rewritten(target)
        done = {"active": target.document(), "target": None, "complete": target.number, "done": {}}
        if not await self._layouts.change({"target.number": target.number, **runner.held}, {"$set": done}):
            raise ConflictError("Somebody else took over rebuilding the index.")
        await self._layouts.look()
        yield Progress(f"Layout {target.number} is in force.", rewritten, damaged)

    async def _target(self, wanted: Layout, runner: LoneRunner, *, alone: bool) -> Layout:
        """Steps 2 and 3; where an earlier run got that far, what it began."""
        state = await self._layouts.state()
        if state["target"] and wanted.same_as(layout_of(state["target"])) and not state.get("damaged"):
            await self._layouts.look()
            return layout_of(state["target"])
        active, top = layout_of(state["active"]), highest(state)
        kept = replace(active.without_what_lacks_in(wanted), number=top + 1)
        if not kept.same_as(active):
            await runner.change({"$set": {"active": kept.document()}})
            if not alone:
                await runner.wait(asyncio.get_running_loop().time() + self._layouts.patience + MARGIN)
        target = replace(wanted, number=top + 2)
        await runner.change({"$set": {"target": target.document(), "done": {}, "damaged": 0}})
        await self._layouts.look()
        return target
