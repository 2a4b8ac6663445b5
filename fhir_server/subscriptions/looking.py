"""Finds out, after each commit, which subscriptions it concerns: each version once, under the subscriber's own rights.

https://hl7.org/fhir/R4/subscription.html#2.46.5. `seq` is given before a transaction commits, so a version may appear
behind ones already seen: what is younger than SETTLING is looked for again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fhir_server.engine.call import Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import candidate, visible
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.search.match import matches
from fhir_server.subscriptions.ports import Changes, Place, Progresses
from fhir_server.subscriptions.subscriber import Subscriber

SETTLING = timedelta(seconds=6)
"""The longest commit and the skew of two clocks, with some to spare."""

_PAGE = 500
_PAGES_AT_ONCE = 4
"""For one that is far behind; then others have their turn."""


class Looking:
    def __init__(self, engine: Engine, changes: Changes, progresses: Progresses) -> None:
        self._engine, self._changes, self._progresses = engine, changes, progresses

    async def look(self, subscribers: Iterable[Subscriber], now: datetime) -> None:
        """Those that are equally far look together: what was written is opened once."""
        groups: dict[tuple[str, int], list[Subscriber]] = {}
        for one in subscribers:
            groups.setdefault((one.asked.query.type, one.progress.settled), []).append(one)
        for (type, settled), group in groups.items():
            await self._together(type, settled, group, now)

    async def _together(self, type: str, settled: int, group: Sequence[Subscriber], now: datetime) -> None:
        horizon = microseconds(now - SETTLING)
        after: Place | None = None
        for _ in range(_PAGES_AT_ONCE):
            after = await self._page(type, settled, after, group, now)
            if after is None:
                break
        while after is not None and after.seq > horizon:
            after = await self._page(type, settled, after, group, now)
        for one in group:
            one.settle(horizon if after is None else min(after.seq - 1, horizon))

    async def _page(
        self, type: str, settled: int, after: Place | None, group: Sequence[Subscriber], now: datetime
    ) -> Place | None:
        """The next versions; None when these were the last."""
        places = await self._changes.since(type, settled, after, _PAGE)
        new = {place for place in places if not place.deleted and any(place not in one.looked for one in group)}
        opened = await self._changes.open(new)
        await asyncio.gather(*(self._noted(one, places, opened, now) for one in group))
        return places[-1] if len(places) == _PAGE else None

    async def _noted(
        self, one: Subscriber, places: Sequence[Place], opened: Mapping[Place, Stored], now: datetime
    ) -> None:
        begin = one.progress.begin or 0
        new = [place for place in places if place in opened and place not in one.looked and place.seq > begin]
        if new and (found := await self._concerning(one, {place: opened[place] for place in new}, now)):
            await self._progresses.add(one.id, found, now)
        one.looked.update(places)

    async def _concerning(self, one: Subscriber, mine: dict[Place, Stored], now: datetime) -> list[Place]:
        """Those that its client would find by its criteria and may read. Raises FhirError for criteria too costly."""
        asked = one.asked.query
        calling = one.call(Interaction.SEARCH_TYPE, now)
        try:
            await self._engine.steps.admit(replace(calling, interaction=Interaction.READ))
            query = await self._engine.searching.narrowed(calling, asked)
        except ForbiddenError:
            return []
        return [
            place
            for place, stored in mine.items()
            if matches(query, candidate(stored))
            and await visible(self._engine.steps, calling, query, stored) is not None
        ]
