"""A TaskQueue in memory."""

from datetime import timedelta

from fhir_server.engine.tasks import Leased
from tests.fakes.memory import Memory

LEASE = timedelta(seconds=60)


class FakeTaskQueue:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def lease(self) -> Leased | None:
        now = self._memory.clock.now()
        due = {id: queued for id, queued in self._memory.tasks.items() if queued.due <= now}
        if not due:
            return None
        id = min(due, key=lambda one: due[one].due)
        due[id].due = now + LEASE
        due[id].attempts += 1
        return Leased(id, due[id].task, due[id].attempts)

    async def done(self, leased: Leased) -> None:
        self._memory.tasks.pop(leased.id, None)

    async def postpone(self, leased: Leased) -> None:
        delay = min(timedelta(minutes=10), timedelta(seconds=2 ** (leased.attempts - 1)))
        if leased.id in self._memory.tasks:
            self._memory.tasks[leased.id].due = self._memory.clock.now() + delay
