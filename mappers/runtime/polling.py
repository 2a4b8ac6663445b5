"""Asks a source that tells nothing by itself, or that only hinted: what changed since the last time, page by page.

How far it got is written in the same commit as what it got, so a stop in between loses nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mappers.mapping.instants import written
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.mapping.message import Message
from mappers.runtime.delivery import Delivery, Outcome
from mappers.runtime.fetching import Fetcher
from mappers.runtime.records import READ_UNTIL

_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of a source.

    `next` gets a page, its number and the cursor. `changed`: of an object, the time that the next look begins from;
    where it is None, objects do not say, and the next look begins when this one began.
    """

    name: str
    first: Callable[[str], str] = field(repr=False)
    next: Callable[[Json, int, str], str | None] = field(repr=False)
    objects: Callable[[Json], Iterator[Json]] = field(repr=False)
    changed: Callable[[Json], str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Poller:
    fetcher: Fetcher
    headers: Mapping[str, str] = field(repr=False)
    delivery: Delivery
    listing: Listing
    beginning: str

    async def poll(self) -> int:
        """How many objects were new."""
        began = self.delivery.clock()
        cursor = await self._cursor()
        url: str | None = self.listing.first(cursor)
        new = 0
        for number in range(1, _MOST_PAGES):
            body = None if url is None else await self.fetcher.get(url, self.headers)
            if body is None:
                break
            page = decode_object(body, self.fetcher.most_bytes)
            for one in self.listing.objects(page):
                new += await self._taken(one, began)
            url = self.listing.next(page, number, cursor)
        if self.listing.changed is None:
            await self.delivery.server.write([self.delivery.records.cursor(self.listing.name, written(began))])
        return new

    async def _taken(self, one: Json, now: datetime) -> bool:
        changed = self.listing.changed(one) if self.listing.changed else None
        beside = [self.delivery.records.cursor(self.listing.name, changed)] if changed else []
        outcome = await self.delivery.deliver(Message(encode(one), now), beside)
        return outcome is Outcome.WRITTEN

    async def _cursor(self) -> str:
        id = self.delivery.records.id("cursor", self.delivery.source.name, self.listing.name)
        [found] = await self.delivery.server.read([f"Basic/{id}"])
        texts = [one["valueString"] for one in (found or {}).get("extension", ()) if one["url"] == READ_UNTIL]
        return str(texts[0]) if texts else self.beginning
