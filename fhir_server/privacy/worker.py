"""Runs what was queued with a commit, until it succeeds; and the chores that come round.

Architecture section 7: any number of workers, each task leased by one of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from fhir_server.engine.ports import TaskQueue
from fhir_server.engine.tasks import Handlers

_log = logging.getLogger("fhir_server.worker")
_ROUNDS_BETWEEN_CHORES = 60


class Worker:
    """`interval` seconds between two looks at an empty queue."""

    def __init__(
        self,
        queue: TaskQueue,
        handlers: Handlers,
        chores: Sequence[Callable[[], Awaitable[object]]],
        interval: float,
    ) -> None:
        self._queue, self._handlers, self._chores, self._interval = queue, handlers, chores, interval

    async def run(self) -> None:
        """Until cancelled. A fault is logged by its type and never ends the worker."""
        rounds = 0
        while True:
            try:
                while await self.once():
                    pass
                if rounds % _ROUNDS_BETWEEN_CHORES == 0:
                    await self.chores()
            except Exception as error:  # noqa: BLE001  the database may be away; the worker stays
                _log.warning("worker: %s", type(error).__name__)
            rounds += 1
            await asyncio.sleep(self._interval)

    async def chores(self) -> None:
        """Each of them, in their order."""
        for chore in self._chores:
            await chore()

    async def once(self) -> bool:
        """Take one task and run it; False where none is due."""
        leased = await self._queue.lease()
        if leased is None:
            return False
        try:
            await self._handlers[leased.task.name](leased.task)
        except Exception as error:  # noqa: BLE001  whatever it was, the task must not be lost
            _log.warning("task %s failed at attempt %s: %s", leased.task.name, leased.attempts, type(error).__name__)
            await self._queue.postpone(leased)
        else:
            await self._queue.done(leased)
        return True
