"""Puts what was recorded into the tree, in runs, and signs a checkpoint each time; closes the lanes of the dead.

sealed-storage section 6: no gap is ever passed over, and two at once cannot fork, for both extend the same size.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from pymongo import ASCENDING

from fhir_server.crypto import checkpoint
from fhir_server.crypto.checkpoint import Checkpoint
from fhir_server.crypto.destroyed import Tally
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.tree import TileId, appended, edge, leaf_hash, root
from fhir_server.store.closing import Closing
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.lanes import ENTRY, entry_of, following
from fhir_server.store.lease import Lease
from fhir_server.store.tree_rows import OvertakenError, Run, TreeRows

_log = logging.getLogger("fhir_server.sequencer")
_MOST_AT_ONCE = 4_000
_INTERVAL = 0.2
_ROUNDS_BETWEEN_CLOSINGS = 25


class BrokenLogError(Exception):
    """The log in the database is not what this process knows that it was. It is not continued: somebody must look."""


class DestroyedKeys(Protocol):
    async def tally(self) -> Tally: ...


class Mark:
    """Signs for one log. `origin` is its name for good: it stands for its key."""

    def __init__(self, database: str, public: bytes, sign: Callable[[bytes], bytes]) -> None:
        self.origin = f"aesthetic-fhir-server/{database}/{public.hex()[:16]}"
        self._public, self._sign = public, sign
        self.key = checkpoint.verifier_key(self.origin, public)

    def signed(self, size: int, root: bytes, destroyed: Tally) -> str:
        more = f"destroyed-keys {destroyed.count} {destroyed.sha256.hex()}"
        return checkpoint.signed(Checkpoint(self.origin, size, root, (more,)), self._public, self._sign)


class Sequencer:
    """Any number may run; one at a time has the lease, and what two do at once collides. `run` until cancelled."""

    def __init__(
        self, collections: Collections, rows: TreeRows, closing: Closing, mark: Mark, destroyed: DestroyedKeys
    ) -> None:
        self._to, self._rows, self._mark, self._destroyed = collections, rows, mark, destroyed
        self.closing = closing
        self._lease = Lease(collections, "sequencer")
        self._seen: Checkpoint | None = None

    @property
    def key(self) -> str:
        """The verifier key of the log."""
        return self._mark.key

    async def run(self) -> None:
        rounds = 0
        try:
            while True:
                try:
                    if await self._lease.hold():
                        if rounds % _ROUNDS_BETWEEN_CLOSINGS == 0:
                            await self.closing.close_dead()
                        rounds += 1
                        while await self.once() >= _MOST_AT_ONCE:
                            pass
                except BrokenLogError as error:
                    _log.error("The log is broken and not continued: %s", error)
                except Exception as error:  # noqa: BLE001  the database may be away; it stays
                    _log.warning("sequencer: %s", type(error).__name__)
                await asyncio.sleep(_INTERVAL)
        finally:
            await self._lease.release()

    async def once(self) -> int:
        """Append what is there; how many events. 0 too where somebody else was faster."""
        await self._rows.settle()
        # First how far the log is, then what is beyond it: what somebody appends in between makes us collide.
        before = await self._newest()
        runs, leaves = await self._pending(before.size)
        if not leaves:
            return 0
        size = before.size + len(leaves)
        tiles = appended(before.size, await self._edge(before), leaves)
        hashed = root(size, tiles)
        note = self._mark.signed(size, hashed, await self._destroyed.tally())
        try:
            await self._rows.append(before.size, size, note, runs, tiles)
        except OvertakenError:
            return 0
        self._seen = checkpoint.parsed(note)
        return len(leaves)

    async def _newest(self) -> Checkpoint:
        """Raises BrokenLogError where the log is shorter than it was, or not signed by us."""
        note = await self._rows.newest()
        try:
            found = checkpoint.opened(note, self._mark.key) if note else Checkpoint(self._mark.origin, 0, root(0, {}))
        except SignatureError:
            raise BrokenLogError("its newest checkpoint was not signed by this log") from None
        if self._seen and (found.size < self._seen.size or (found.size == self._seen.size and found != self._seen)):
            raise BrokenLogError(f"it had {self._seen.size} entries, and has {found.size}")
        self._seen = found
        return found

    async def _edge(self, before: Checkpoint) -> Mapping[TileId, bytes]:
        """Raises BrokenLogError where the tiles do not make the root that was signed."""
        tiles = await self._rows.tiles(list(edge(before.size)))
        try:
            is_whole = root(before.size, tiles) == before.root
        except (KeyError, ValueError):
            is_whole = False
        if not is_whole:
            raise BrokenLogError(f"its tiles are not those of its checkpoint of {before.size} entries")
        return tiles

    async def _pending(self, start: int) -> tuple[list[Run], list[bytes]]:
        """What every open lane has beyond the tree, up to its first gap."""
        with seam():
            writers = await self._to.writers.find({"open": True}).to_list(None)
        found = await asyncio.gather(*(self._after(one["_id"], int(one["sequenced"])) for one in writers))
        runs: list[Run] = []
        leaves: list[bytes] = []
        for writer, hashes in zip(writers, found, strict=True):
            if hashes:
                runs.append(Run(start + len(leaves), writer["_id"], int(writer["sequenced"]) + 1, len(hashes)))
                leaves += hashes
        return runs, leaves

    async def _after(self, writer: str, number: int) -> list[bytes]:
        with seam():
            rows = self._to.audit.find(following(writer, number), ENTRY).sort("_id", ASCENDING)
            found = await rows.to_list(_MOST_AT_ONCE)
        return list(_unbroken(found, number))


def _unbroken(rows: Iterable[Document], number: int) -> Iterator[bytes]:
    for expected, row in enumerate(rows, number + 1):
        if row["_id"]["n"] != expected:
            return
        yield leaf_hash(entry_of(row))
