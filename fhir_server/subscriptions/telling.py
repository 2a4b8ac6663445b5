"""Tells one subscriber: first a handshake, then each event in its order, decided again and recorded before it leaves.

https://hl7.org/fhir/R4/subscription.html#2.46.7.1. At least once: what was sent and not saved is sent again, under the
same number.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import candidate, shown, visible
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ForbiddenError, NoLegalBasisError, NotFoundError
from fhir_server.search.match import matches
from fhir_server.subscriptions.asked import WHOLE
from fhir_server.subscriptions.ports import Event, Hook, Notice, Progresses
from fhir_server.subscriptions.subscriber import Subscriber

_TOGETHER = 25
_HOLDS = timedelta(seconds=1)
"""What is refused or withdrawn is told to nobody after that long."""

Send: TypeAlias = Callable[[Notice], Awaitable[bool]]


class Telling:
    """`spread`: a number from 0 to 1, another one each time."""

    def __init__(
        self, engine: Engine, progresses: Progresses, hook: Hook, clock: Clock, spread: Callable[[], float]
    ) -> None:
        self._engine, self._progresses, self._hook = engine, progresses, hook
        self._clock, self._spread = clock, spread

    def is_due(self, one: Subscriber) -> bool:
        return one.progress.due is None or one.progress.due <= self._clock.now()

    async def greet(self, one: Subscriber) -> bool:
        """The handshake: is somebody there who wants to be told? Nothing is said in it."""
        async with self._hook.line() as send:
            done = self._known(one, done=await send(Notice("POST", one.asked.endpoint, one.asked.headers)))
        await self._progresses.save(one.id, one.progress)
        return done

    async def tell(self, one: Subscriber, go_on: Callable[[Subscriber], Awaitable[bool]]) -> None:
        """Until nothing is left to tell, or it cannot be told."""
        async with self._hook.line() as send:
            # One that failed is tried with one event, so that no more is recorded than may reach it.
            while events := await self._progresses.events(
                one.id, one.progress.told, 1 if one.progress.failures else _TOGETHER
            ):
                try:
                    if not await go_on(one) or not await self._told(one, events, send):
                        return
                finally:
                    # Once for several: a worker that is killed meanwhile has them told again, under the same numbers.
                    await self._progresses.save(one.id, one.progress)

    async def _told(self, one: Subscriber, events: Sequence[Event], send: Send) -> bool:
        """Decided on and recorded together, sent one after the other; what is decided holds for a moment only."""
        decided = self._clock.now()
        notices = await asyncio.gather(*(self._notice(one, event) for event in events))
        for event, notice in zip(events, notices, strict=True):
            if event is not events[0] and self._clock.now() - decided > _HOLDS:
                return True
            if notice is not None and not self._known(one, done=await send(notice)):
                return False
            one.changed(told=event.number)
        return True

    def _known(self, one: Subscriber, *, done: bool) -> bool:
        if done:
            one.succeeded()
        else:
            self.put_off(one)
        return done

    def put_off(self, one: Subscriber) -> None:
        """It is tried again later, and later each time."""
        one.failed(self._clock.now(), self._spread())

    async def _notice(self, one: Subscriber, event: Event) -> Notice | None:
        """None where the subscriber may not be told of it any more."""
        seen = await self.seen(one, event, self._clock.now(), f"Subscription/{one.id} event {event.number}")
        if seen is None:
            return None
        numbered = (*one.asked.headers, ("Event-Number", str(event.number)))
        if not one.asked.whole:
            return Notice("POST", one.asked.endpoint, (*numbered, ("Event-Focus", str(event.key))))
        url = f"{one.asked.endpoint.removesuffix('/')}/{event.key}"
        return Notice("PUT", url, (*numbered, ("Content-Type", WHOLE)), (await seen.whole()).wire)

    async def seen(self, one: Subscriber, event: Event, now: datetime, request: str) -> Stored | None:
        """The version as the client may see it now; decided on as it was and as it is, and recorded."""
        call = replace(one.call(Interaction.READ, now, request), id=event.key.id)
        search = replace(call, interaction=Interaction.SEARCH_TYPE, id=None)

        async def once(attempt: Attempt) -> Stored:
            await self._engine.steps.admit(call)
            query = await self._engine.searching.narrowed(search, one.asked.query)
            current = await self._engine.store.read(event.key)
            if current is None or current.deleted:
                raise NotFoundError("There is no resource with this id.")
            then: Stored | None = current
            if current.version != event.version:
                is_shown = await shown(self._engine.steps, call, current) is not None
                then = await self._engine.store.read_version(event.key, event.version) if is_shown else None
            matching = then is not None and not then.deleted and matches(query, candidate(then))
            seen = await visible(self._engine.steps, call, query, then) if then and matching else None
            if seen is None:
                raise NotFoundError("There is no resource with this id.")
            attempt.disclosed.append(seen)
            return seen

        try:
            return await disclosing(self._engine.steps, call, once)
        except (NotFoundError, ForbiddenError, NoLegalBasisError):
            return None
