"""Tells one subscriber: first a handshake, then each event in its order, decided again and recorded before it leaves.

https://hl7.org/fhir/R4/subscription.html#2.46.7.1. At least once: what was sent and not saved is sent again, under the
same number.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

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

_TOGETHER = 10


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
        done = await self._sent(one, Notice("POST", one.asked.endpoint, one.asked.headers))
        await self._progresses.save(one.id, one.progress)
        return done

    async def tell(self, one: Subscriber, go_on: Callable[[Subscriber], Awaitable[bool]]) -> None:
        """Until nothing is left to tell, or it cannot be told."""
        while events := await self._progresses.events(one.id, one.progress.told, _TOGETHER):
            try:
                for event in events:
                    if not await go_on(one):
                        return
                    notice = await self._notice(one, event)
                    if notice is not None and not await self._sent(one, notice):
                        return
                    one.changed(told=event.number)
            finally:
                # Once for several: a worker that is killed meanwhile has them told again, under the same numbers.
                await self._progresses.save(one.id, one.progress)

    async def _sent(self, one: Subscriber, notice: Notice) -> bool:
        done = await self._hook.send(notice)
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
