"""How those who write the same thing at the same time treat each other: they take turns, and then they insist.

what-users-ask 1. Whether a write still holds is decided by the store in its transaction, whoever else writes. What is
here keeps those of one process from overtaking each other for ever, and those of several from meeting again at once.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import TypeVar

from fhir_server.kernel.errors import ConditionChangedError, ContendedError, StaleBasisError, StaleVersionError

OVERTAKEN = (ConditionChangedError, ContendedError, StaleVersionError, StaleBasisError)
"""Somebody was faster: look again, decide again, write again."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.064
_STEPS = 1_000

T = TypeVar("T")


class Courtesy:
    """`patience`: seconds after which one who is overtaken again and again is told so."""

    def __init__(self, patience: float = 30.0) -> None:
        self._patience = patience
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    async def insist(
        self,
        what: Collection[str],
        once: Callable[[], Awaitable[T]],
        *,
        again_on: tuple[type[Exception], ...] = OVERTAKEN,
        at_once: bool = True,
    ) -> T:
        """Try until it holds. Raises what the last try ended in.

        `what`: names of what is written. With `at_once` a first try waits for nobody, since mostly nobody is there.
        """
        deadline = asyncio.get_running_loop().time() + self._patience
        if at_once:
            try:
                return await once()
            except again_on:
                pass
        async with self._turn(what, deadline):
            pause = _FIRST_PAUSE
            while True:
                try:
                    return await once()
                except again_on:
                    if asyncio.get_running_loop().time() >= deadline:
                        raise
                await asyncio.sleep(pause * secrets.randbelow(_STEPS) / _STEPS)
                pause = min(2 * pause, _LONGEST_PAUSE)

    @asynccontextmanager
    async def _turn(self, what: Collection[str], deadline: float) -> AsyncIterator[None]:
        """Alone in this process with each of these; past the deadline with whoever is there."""
        mine: list[str] = []
        try:
            for name in sorted(set(what)):  # in one order, so that no two wait for each other
                lock, waiting = self._queues.get(name, (asyncio.Lock(), 0))
                self._queues[name] = (lock, waiting + 1)
                try:
                    async with asyncio.timeout_at(deadline):
                        await lock.acquire()
                except BaseException as error:
                    self._leave(name)
                    if isinstance(error, TimeoutError):
                        break
                    raise
                mine.append(name)
            yield
        finally:
            for name in mine:
                self._queues[name][0].release()
                self._leave(name)

    def _leave(self, name: str) -> None:
        lock, waiting = self._queues[name]
        if waiting == 1:
            del self._queues[name]
        else:
            self._queues[name] = (lock, waiting - 1)
