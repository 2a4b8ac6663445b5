"""Finds what waits for an identifier that is here now; those who write at once look together.

A look begins after the commit of everybody who asked for it: whoever starts to wait later sees what was committed.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from mappers.mapping.json_text import Json
from mappers.runtime.records import WAITS_FOR
from mappers.runtime.server import Server


@dataclass(slots=True)
class Followers:
    server: Server
    _next: set[str] = field(default_factory=set, init=False)
    _round: asyncio.Task[list[Json]] | None = field(default=None, init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def of(self, claims: Iterable[str]) -> list[Json]:
        """Tasks on hold that wait for one of these claims."""
        mine = frozenset(claims)
        if not mine:
            return []
        self._next |= mine
        if self._round is None:
            self._round = asyncio.create_task(self._looked())
        found = await asyncio.shield(self._round)
        return [task for task in found if not mine.isdisjoint(_waits_for(task))]

    async def _looked(self) -> list[Json]:
        async with self._looking:
            asked, self._next, self._round = self._next, set(), None
            waits = ",".join(f"{WAITS_FOR}%7C{one}" for one in sorted(asked))
            return await self.server.search(f"Task?identifier={waits}&status=on-hold")


def _waits_for(task: Json) -> set[str]:
    return {one["value"] for one in task["identifier"] if one["system"] == WAITS_FOR}
