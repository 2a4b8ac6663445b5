"""Everything that can be checked of a clinic's database against its own log: tree, events, current and earlier rows.

sealed-storage section 6; architecture section 4. It stops at the first break and names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo import ASCENDING

from fhir_server.crypto import checkpoint
from fhir_server.crypto.checkpoint import Checkpoint
from fhir_server.crypto.commitment import commitment
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyId
from fhir_server.kernel.errors import UnavailableError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.lane_keys import Lane
from fhir_server.store.lanes import following
from fhir_server.store.row_walk import RowWalk
from fhir_server.store.tree_rows import TreeRows
from fhir_server.store.tree_walk import BreakError, TreeWalk, Walked

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Sound:
    """Nothing is wrong. `waiting`: events that no checkpoint signs yet."""

    entries: int
    waiting: int
    rows: int


class Verification:
    """`key` is the verifier key of the log: from outside, or it proves little."""

    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring, key: str) -> None:
        self._to, self._documents, self._keyring, self._key = collections, documents, keyring, key

    async def verify(self, kept: Sequence[str]) -> Sound:
        """`kept`: checkpoints from elsewhere, as they were signed. Raises BreakError."""
        walk = _Walk(self._to, self._documents, self._keyring)
        tree = TreeWalk(self._to, self._key, walk)
        walked = await tree.walk([self._opened(note) for note in kept])
        waiting = await walk.tails(walked)
        return Sound(walked.size, waiting, await walk.rows.walk())

    def _opened(self, note: str) -> Checkpoint:
        try:
            return checkpoint.opened(note, self._key)
        except SignatureError:
            raise BreakError("A checkpoint that was kept elsewhere is not signed by this log.") from None


class _Walk:
    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring) -> None:
        self._to, self._documents, self._keyring = collections, documents, keyring
        self.rows = RowWalk(collections, self._look_on)
        self._events: list[tuple[str, Document]] = []
        self._walked = Walked()

    def see(self, place: int, row: Document) -> None:
        self._note(f"Leaf {place}, event {_id(row)}", row)

    async def reached(self) -> None:
        if len(self._events) >= _AT_ONCE:
            await self._open_events()

    async def _open_events(self) -> None:
        """Each was written by who has the key of the log, and commits to what it says. Raises BreakError."""
        events, self._events = self._events, []
        for at in range(0, len(events), _AT_ONCE):
            some = events[at : at + _AT_ONCE]
            keys = await self._keyring.open_keys({KeyId(row["key"]) for _, row in some})
            for place, row in some:
                self._open(place, row, Lane.of(keys[KeyId(row["key"])], row["_id"]["w"]))

    def _open(self, place: str, row: Document, lane: Lane) -> None:
        try:
            event = lane.opened(self._documents, row)
        except UnavailableError:
            raise BreakError(f"{place}: this server did not write it.") from None
        if "commitment" in row and row["commitment"] != commitment(lane.salt(row["_id"]["n"]), event):
            raise BreakError(f"{place}: it commits to another event.")

    async def tails(self, walked: Walked) -> int:
        """The events behind the tree, in every lane that there is: without a gap, and in one that is still open."""
        self._walked = walked
        open_lanes = await self._open_lanes()
        last = dict(walked.last)
        waiting = 0
        with seam():
            async for row in self._to.audit.find({}, {"_id": True}).sort("_id", ASCENDING):
                writer, number = _place(row)
                if number <= walked.last.get(writer, 0):
                    continue
                if number != last.get(writer, 0) + 1:
                    raise BreakError(f"Event {writer}-{last.get(writer, 0) + 1}: it was deleted, or never was there.")
                if writer not in open_lanes:
                    open_lanes = await self._open_lanes()
                if writer not in open_lanes and await TreeRows(self._to).index_of(writer, number) is None:
                    raise BreakError(f"Event {writer}-{number}: it was slipped in behind the end of its lane.")
                last[writer] = number
                waiting += 1
        await self._look_on()
        return waiting

    async def _open_lanes(self) -> set[str]:
        with seam():
            return {row["_id"] async for row in self._to.writers.find({"open": True}, {"_id": True})}

    async def _look_on(self) -> None:
        """Note what was recorded behind what was walked."""
        with seam():
            for writer in await self._open_lanes():
                done = self._walked.last.get(writer, 0)
                async for row in self._to.audit.find(following(writer, done)).sort("_id", ASCENDING):
                    self._note(f"Event {_id(row)}", row)
                    self._walked.last[writer] = row["_id"]["n"]
        await self._open_events()

    def _note(self, place: str, row: Document) -> None:
        self._events.append((place, row))
        self.rows.note(place, row.get("carried", b""))


def _place(row: Document) -> tuple[str, int]:
    match row["_id"]:
        case {"w": str(writer), "n": int(number), **rest} if not rest and number > 0:
            return writer, number
    raise BreakError("There is an event that has no place in any lane.")


def _id(row: Document) -> str:
    return f"{row['_id']['w']}-{row['_id']['n']}"
