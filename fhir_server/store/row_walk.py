"""Compares every current and earlier row with what the log says was written: none put back, changed, slipped in, gone.

Architecture section 4. The log is walked first; what was written meanwhile is looked up once more before it is judged.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.row_seals import ERASED, RowSeal, decoded, row_seal
from fhir_server.store.tree_walk import BreakError

_FETCHED = {"version": True, "epoch": True, "revision": True, "sealed": True}
_EARLIER = "/_history/"


class _Kind(NamedTuple):
    """`prefix` stands before the id, `version` is the field that counts."""

    rows: AsyncCollection[Document]
    prefix: str
    version: str
    is_current: bool


class RowWalk:
    """`note` takes what an event's row carries; `walk` then compares. `more` notes what was recorded since."""

    def __init__(self, collections: Collections, more: Callable[[], Awaitable[None]]) -> None:
        self._kinds = (
            _Kind(collections.resources, "", "version", is_current=True),
            _Kind(collections.history, "", "version", is_current=False),
            _Kind(collections.heads, "Head/", "epoch", is_current=True),
            _Kind(collections.users, "User/", "revision", is_current=True),
        )
        self._more = more
        self._logged: dict[tuple[bytes, int], bytes] = {}
        self._newest: dict[bytes, int] = {}
        self._only_newest: set[bytes] = set()
        self._erased: set[tuple[bytes, int]] = set()
        self._unseen: dict[tuple[bytes, int], str] = {}

    def note(self, place: str, carried: bytes) -> None:
        """Raises BreakError where it was never written like this."""
        try:
            seals = list(decoded(carried))
        except ValueError:
            raise BreakError(f"{place}: what it carries along is damaged.") from None
        for seal in seals:
            if seal.sha256 == ERASED:
                self._erased.add((seal.name, seal.version))
                continue
            self._logged[seal.name, seal.version] = seal.sha256
            self._unseen[seal.name, seal.version] = place
            self._newest[seal.name] = max(seal.version, self._newest.get(seal.name, 0))

    async def walk(self) -> int:
        """How many rows were compared. Raises BreakError."""
        counted = 0
        written = dict(self._unseen)
        for kind in self._kinds:
            with seam():
                async for row in kind.rows.find({}, _FETCHED):
                    counted += 1
                    seal = _seal(kind, row)
                    if self._fault(kind, seal):
                        await self._look_again(kind, row["_id"])
                    written.pop((seal.name, seal.version), None)
                    if kind.version != "version":
                        self._only_newest.add(seal.name)
        for (name, version), place in written.items():
            if name not in self._only_newest and (name, version) not in self._erased:
                raise BreakError(f"{place}: version {version} of the row that it recorded is gone.")
        return counted

    async def _look_again(self, kind: _Kind, id: str) -> None:
        """It may have been written after its event was looked for."""
        await self._more()
        with seam():
            row = await kind.rows.find_one({"_id": id}, _FETCHED)
        if row is None:
            return
        if fault := self._fault(kind, _seal(kind, row)):
            raise BreakError(f"{kind.prefix}{id}: {fault}")

    def _fault(self, kind: _Kind, seal: RowSeal) -> str:
        logged = self._logged.get((seal.name, seal.version))
        if (seal.name, seal.version) in self._erased:
            return "it was erased, and was put back."
        if logged is None:
            return "no event recorded that this was written."
        if logged != seal.sha256:
            return "it is not what was written."
        if kind.is_current and self._newest[seal.name] != seal.version:
            return f"an older version was put back: {seal.version}, and there was {self._newest[seal.name]}."
        return ""


def _seal(kind: _Kind, row: Document) -> RowSeal:
    """An earlier version lies under its own id, and is told of as the resource that it is one of."""
    return row_seal(f"{kind.prefix}{row['_id'].partition(_EARLIER)[0]}", int(row[kind.version]), row["sealed"])
