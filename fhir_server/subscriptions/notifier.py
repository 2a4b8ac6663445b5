"""The loop that tells: one worker of all at a time sees which subscriptions there are, what is new, and who is due.

https://hl7.org/fhir/R4/subscription.html. Nothing is lost with a worker: progress and events are rows, and the next one
leads when the lease has run out.
"""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError, FhirError, UnavailableError
from fhir_server.subscriptions.looking import Looking
from fhir_server.subscriptions.ports import Progresses
from fhir_server.subscriptions.roster import Roster
from fhir_server.subscriptions.subscriber import MOST_TRIES, Subscriber
from fhir_server.subscriptions.telling import Telling

_log = logging.getLogger("fhir_server.subscriptions")

LEASE = timedelta(seconds=30)
_LONGEST_SEND = timedelta(seconds=12)
"""With less than that left of the lease nothing is begun: two never tell the same one at the same time."""

_RENEWAL = timedelta(seconds=5)
_INTERVAL = 0.2
"""From the beginning of one round to that of the next; a round that took as long is not waited after."""

_SHORTEST_PAUSE = 0.02
_SAVED_EVERY = timedelta(seconds=5)


class Notifier:
    """`name`: of this worker among all."""

    def __init__(
        self, name: str, roster: Roster, looking: Looking, telling: Telling, progresses: Progresses, clock: Clock
    ) -> None:
        self._name, self._roster, self._looking, self._telling = name, roster, looking, telling
        self._progresses, self._clock = progresses, clock
        self._until: datetime | None = None
        self._saved: dict[str, int] = {}
        self._telling_now: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. A fault is logged by its type and ends nothing."""
        try:
            while True:
                begun = asyncio.get_running_loop().time()
                try:
                    await self._round()
                except Exception as error:  # noqa: BLE001  the database may be away; the loop stays
                    _log.warning("subscriptions: %s", type(error).__name__)
                    self._roster.clear()
                spent = asyncio.get_running_loop().time() - begun
                await asyncio.sleep(max(_SHORTEST_PAUSE, _INTERVAL - spent))
        finally:
            await self._stop()
            if self._until is not None:
                now = self._clock.now()
                await self._progresses.lead(self._name, now, now)  # the next one need not wait
                self._until = None

    async def once(self) -> None:
        """One round, to its end."""
        await self._round()
        await asyncio.gather(*self._telling_now.values())

    async def _round(self) -> None:
        if not await self._leads():
            await self._stop()
            self._roster.clear()
            return
        self._telling_now = {id: task for id, task in self._telling_now.items() if not task.done()}
        everybody = await self._roster.fresh(busy=self._telling_now.keys())
        idle = [one for one in everybody if one.id not in self._telling_now]
        now = self._clock.now()
        await self._look([one for one in everybody if one.status == "active"], now)
        for one in idle:
            if self._telling.is_due(one):
                self._telling_now[one.id] = asyncio.create_task(self._turn(one))
        for one in everybody:
            await self._save(one)

    async def _look(self, active: list[Subscriber], now: datetime) -> None:
        """All at once; where one's criteria cost too much, each for itself, so that this one alone is in error."""
        try:
            await self._looking.look(active, now)
        except (UnavailableError, ConflictError):
            raise
        except FhirError:
            for one in active:
                await self._guarded(one, self._looking.look([one], now))

    async def _turn(self, one: Subscriber) -> None:
        if one.status == "requested":
            await self._guarded(one, self._greeted(one))
        elif one.status == "active":
            await self._guarded(one, self._told(one))

    async def _greeted(self, one: Subscriber) -> None:
        if await self._telling.greet(one):
            await self._roster.turn(one, "active")
        else:
            await self._given_up(one)

    async def _told(self, one: Subscriber) -> None:
        await self._telling.tell(one, self._goes_on)
        await self._given_up(one)

    async def _given_up(self, one: Subscriber) -> None:
        if one.progress.failures >= MOST_TRIES:
            await self._roster.turn(
                one, "error", "The endpoint did not answer with success, however often it was tried."
            )

    async def _guarded(self, one: Subscriber, doing: Awaitable[None]) -> None:
        try:
            await doing
        except (UnavailableError, ConflictError) as failure:
            _log.warning("subscriptions: %s", type(failure).__name__)
        except FhirError as failure:
            await self._roster.turn(one, "error", failure.issues[0].diagnostics)
        except Exception as error:  # noqa: BLE001  one that cannot be told must not keep the others waiting
            _log.warning("subscriptions: %s", type(error).__name__)
            self._telling.put_off(one)

    async def _goes_on(self, one: Subscriber) -> bool:
        in_time = self._until is not None and self._clock.now() + _LONGEST_SEND < self._until
        return in_time and await self._roster.still(one)

    async def _save(self, one: Subscriber) -> None:
        settled = one.progress.settled
        if settled - self._saved.get(one.id, 0) > _SAVED_EVERY // timedelta(microseconds=1):
            await self._progresses.save(one.id, one.progress)
            self._saved[one.id] = settled

    async def _leads(self) -> bool:
        now = self._clock.now()
        if self._until is None or now > self._until - LEASE + _RENEWAL:
            is_ours = await self._progresses.lead(self._name, now, now + LEASE)
            self._until = now + LEASE if is_ours else None
        return self._until is not None

    async def _stop(self) -> None:
        for task in self._telling_now.values():
            task.cancel()
        await asyncio.gather(*self._telling_now.values(), return_exceptions=True)
        self._telling_now = {}
