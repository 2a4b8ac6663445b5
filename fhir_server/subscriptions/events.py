"""`Subscription/[id]/$events?since=N`: what a subscriber was told, or would have been, for one that was away.

Ours: R4 has no such operation, only R5 and its backport do. Each event is decided again, as the caller's own read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.subscriptions.asked import asked
from fhir_server.subscriptions.holder import Holder
from fhir_server.subscriptions.ports import Event, Progress, Progresses
from fhir_server.subscriptions.subscriber import Subscriber
from fhir_server.subscriptions.telling import Telling

AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Told:
    """`last`: the number with which to ask for more."""

    events: Sequence[Event]
    last: int


class Events:
    def __init__(self, engine: Engine, progresses: Progresses, telling: Telling) -> None:
        self._engine, self._progresses, self._telling = engine, progresses, telling

    async def since(self, call: Call, number: int) -> Told:
        """Raises NotFoundError for another client's subscription, as for none."""
        stored = await self._engine.read(replace(call, interaction=Interaction.READ, operation=None))
        wanted = asked(stored.resource, self._engine.language, lambda _: True)
        holder = Holder(call.principal, call.purpose)
        one = Subscriber(stored.key.id, stored.version, "active", wanted, holder, holder, Progress())
        found = await self._progresses.events(one.id, number, AT_ONCE)
        shown = [
            event for event in found if await self._telling.seen(one, event, call.instant, call.request) is not None
        ]
        return Told(shown, found[-1].number if found else number)
