"""Looks of several messages in one round trip: while one is under way, who comes waits for the next and shares it.

Who was looked for together is mostly ready to be written together as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from mappers.mapping.json_text import Json
from mappers.runtime.looks import Look

_MOST_TOGETHER = 60
_LONGEST = 1.0
"""Seconds after which the next do not wait any longer for the look that is under way."""

Ask = Callable[[Sequence[Look]], Awaitable[list[Json]]]
"""Looks as one batch: an entry of the answer for each."""


@dataclass(slots=True)
class _Asked:
    looks: Sequence[Look]
    done: "asyncio.Future[list[Json]]"


@dataclass(slots=True)
class Reading:
    ask: Ask
    _waiting: list[_Asked] = field(default_factory=list, init=False, repr=False)
    _running: bool = field(default=False, init=False)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set, init=False, repr=False)

    async def of(self, looks: Sequence[Look]) -> list[Json]:
        """As they were at some instant after the call began."""
        asked = _Asked(looks, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if not self._running:
            self._running = True
            self._begin(self._run())
        return await asked.done

    async def _run(self) -> None:
        while taken := self._taken():
            await asyncio.wait([self._begin(self._looked(taken))], timeout=_LONGEST)
        self._running = False

    async def _looked(self, taken: Sequence[_Asked]) -> None:
        try:
            entries = await self.ask([look for asked in taken for look in asked.looks])
        except Exception as error:  # noqa: BLE001  everybody who shared it is told
            _tell(taken, error)
            return
        for asked in taken:
            mine, entries = entries[: len(asked.looks)], entries[len(asked.looks) :]
            if not asked.done.done():
                asked.done.set_result(mine)

    def _begin(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task

    def _taken(self) -> list[_Asked]:
        """Whoever went away meanwhile asks no more."""
        waiting = [asked for asked in self._waiting if not asked.done.done()]
        taken: list[_Asked] = []
        size = 0
        while waiting and (not taken or size + len(waiting[0].looks) <= _MOST_TOGETHER):
            taken.append(waiting.pop(0))
            size += len(taken[-1].looks)
        self._waiting = waiting
        return taken


def _tell(taken: Sequence[_Asked], error: Exception) -> None:
    for asked in taken:
        if not asked.done.done():
            asked.done.set_exception(error)
