"""From one token key to the next: every row gets tokens of both, then only of the new one, then the old key ends.

sealed-storage section 2. No search misses anything meanwhile: rows are looked up by a key of which every one
bears tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.kernel.errors import ConflictError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.layout import Layout, layout_of
from fhir_server.store.layouts import Layouts
from fhir_server.store.lone_runner import LoneRunner
from fhir_server.store.token_keys import TokenKeys


def epoch_of(state: Mapping[str, Any]) -> int:
    """The one whose tokens rows are to bear in the end."""
    return int(state.get("epoch", max(layout_of(state["active"]).epochs)))


def steps(state: Mapping[str, Any], wanted: Layout, *, again: bool = False) -> Sequence[Layout]:
    """What has to be gone through from where rows are now; where an earlier run stopped, the rest.

    `again`: also where rows are as they should be.
    """
    active, epoch = layout_of(state["active"]), epoch_of(state)
    last = replace(wanted, epochs=(epoch,))
    if epoch not in active.epochs:
        return replace(wanted, epochs=(*active.epochs, epoch)), last
    settled = state["complete"] == active.number and last.same_as(active)
    return () if settled and not again else (last,)


class Ending:
    """The state of the index names the epochs that are to end until their keys are destroyed."""

    def __init__(self, collections: Collections, layouts: Layouts, keys: TokenKeys) -> None:
        self._locks, self._layouts, self._keys = collections.locks, layouts, keys

    async def begin(self, runner: LoneRunner) -> None:
        """Nothing, where it began before."""
        state = await self._layouts.state()
        if not state.get("ending"):
            epoch = epoch_of(state)
            await runner.change({"$set": {"epoch": epoch + 1, "ending": [epoch]}})

    async def require_all_rewritten(self, target: Layout) -> None:
        """A row that does not open has no tokens of the new key, and would not be missed. Raises ConflictError."""
        state = await self._layouts.state()
        if state.get("damaged") and layout_of(state["active"]).epochs != target.epochs:
            raise ConflictError(
                f"{state['damaged']} rows do not open, so the new key for search tokens is not taken into use; "
                "searches go on by the old one. Restore these rows or delete them, then run the command again."
            )

    async def finish(self, runner: LoneRunner) -> Sequence[int]:
        """Destroy the keys of which no row bears tokens any more; which they were."""
        ended = [int(each) for each in (await self._layouts.state()).get("ending", ())]
        if ended:
            for epoch in ended:
                await self._keys.end(epoch)
            with seam():
                await self._locks.delete_many({})  # their names are tokens too
            await runner.change({"$unset": {"ending": ""}})
        return ended
