"""Which way of indexing is in force, for searches and for writes, in every process of a clinic.

sealed-storage section 2: each row carries the version of its tokens. Searches rely on the version that all rows have;
writes use the one that is being built, which has everything of it and more (`store.reindexing`).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.kernel.errors import UnavailableError
from fhir_server.search.custom import taken
from fhir_server.search.registry import RULES, Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.opening import Opening

_ID = "search"
PATIENCE = 10.0
"""Seconds after which a process looks again. Whoever changes a layout waits longer than that before relying on it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way of making tokens.

    `rules` is the version of code and definitions behind it, `custom` names SearchParameters and their versions,
    `inside` the parameters that are found by any part of their text.
    """

    number: int
    rules: str
    custom: tuple[tuple[str, int], ...] = ()
    inside: tuple[str, ...] = ()

    def same_as(self, other: "Layout") -> bool:
        return (self.rules, self.custom, self.inside) == (other.rules, other.custom, other.inside)

    def document(self) -> Document:
        custom = [{"id": id, "version": version} for id, version in self.custom]
        return {"number": self.number, "rules": self.rules, "custom": custom, "inside": list(self.inside)}


def layout_of(document: Mapping[str, Any]) -> Layout:
    custom = tuple((str(each["id"]), int(each["version"])) for each in document["custom"])
    return Layout(int(document["number"]), document["rules"], custom, tuple(document["inside"]))


class Layouts:
    """`active` is what searches rely on, `writing` what new rows get."""

    def __init__(self, collections: Collections, opening: Opening, patience: float = PATIENCE) -> None:
        self._rows, self._resources, self._history = collections.layouts, collections.resources, collections.history
        self._opening, self.patience = opening, patience
        self.active = self.writing = Registry(number=1)
        self._known: dict[int, Registry] = {}
        self._looked = 0.0

    async def open(self) -> None:
        """Where nothing was ever stored, the way that this code knows is in force; rows from before it have another."""
        with seam():
            if await self._rows.find_one({"_id": _ID}) is None:
                fresh = await self._resources.find_one({}, {"_id": 1}) is None
                first = Layout(1, RULES if fresh else "")
                with suppress(DuplicateKeyError):  # another process may be faster
                    await self._rows.insert_one({"_id": _ID, "active": first.document(), "target": None})
        await self.look()

    async def fresh(self) -> None:
        """Look again where that was long ago. Raises UnavailableError where it cannot: then nothing may rely on it."""
        if asyncio.get_running_loop().time() - self._looked > self.patience:
            await self.look()

    async def look(self) -> None:
        now = asyncio.get_running_loop().time()
        document = await self.state()
        active = layout_of(document["active"])
        target = layout_of(document["target"]) if document["target"] else None
        self.active = await self._registry(active)
        self.writing = await self._registry(target) if target else self.active
        self._known = {each.number: each for each in (self.active, self.writing)}
        self._looked = now

    async def state(self) -> Document:
        with seam():
            found = await self._rows.find_one({"_id": _ID})
        if found is None:
            raise UnavailableError("It is not known how the search index is laid out.")
        return found

    async def change(self, condition: Document, update: Document) -> bool:
        """One step of whoever rebuilds; False where it was not as expected."""
        with seam():
            result = await self._rows.update_one({"_id": _ID, **condition}, update)
        return result.matched_count == 1

    async def _registry(self, layout: Layout) -> Registry:
        known = self._known.get(layout.number)
        if known is not None:
            return known
        definitions = taken([await self._definition(id, version) for id, version in layout.custom]).definitions
        return Registry(definitions, frozenset(layout.inside), layout.number, whole=layout.rules == RULES)

    async def _definition(self, id: str, version: int) -> Any:  # noqa: ANN401  JSON is any value
        """A SearchParameter as it was when the layout was made; it may have changed since."""
        with seam():
            found = await self._resources.find_one({"_id": f"SearchParameter/{id}", "version": version})
            if found is None:
                found = await self._history.find_one({"_id": f"SearchParameter/{id}/_history/{version}"})
        opened = await self._opening.rows([found] if found else [])
        if not opened:
            raise UnavailableError("A search parameter that the index was built with cannot be read.")
        return opened[0].resource
