"""When somebody is taken, as a calendar behind a link that can be taken back; no patient, no treatment.

RFC 5545 section 3.6.4; GDPR Art. 25. A link is a Basic of the server under a keyed digest of its token: the token
itself is kept nowhere, and without the Basic it opens nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mappers.booking.icalendar.busy import feed, periods
from mappers.mapping.faults import UnusableError
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.runtime.clock import Clock
from mappers.runtime.records import KINDS, Records, created
from mappers.runtime.server import Server

KIND = "busy-feed"
_ACTORS = frozenset({"Practitioner", "PractitionerRole", "Location", "Device", "HealthcareService"})
_WEEK, _WEEKS_AHEAD = timedelta(days=7), 9
_MOST_OF_A_WEEK = 500
_TAKEN = "booked,arrived,checked-in,pending,fulfilled"
_BUSY = "busy,busy-unavailable,busy-tentative"


@dataclass(frozen=True, slots=True)
class Feeds:
    server: Server
    records: Records
    clock: Clock

    async def add(self, actor: str, token: str) -> str:
        """The id by which the link is taken back. `actor`: whose time it is; never a patient's."""
        if actor.partition("/")[0] not in _ACTORS:
            raise UnusableError("A feed is of a practitioner, a place or a device.")
        id = self.records.id("feed", token)
        basic: Json = {
            "resourceType": "Basic",
            "id": id,
            "code": {"coding": [{"system": KINDS, "code": KIND}]},
            "subject": {"reference": actor},
            "created": self.clock().date().isoformat(),
        }
        await self.server.write([created(basic)])
        return id

    async def links(self) -> list[Json]:
        return await self.server.search(f"Basic?code={KINDS}%7C{KIND}&_count=200")

    async def revoke(self, id: str) -> None:
        """From now on nobody is answered who has the link."""
        if id not in {link["id"] for link in await self.links()}:
            raise UnusableError("There is no such link.")
        await self.server.write([{"request": {"method": "DELETE", "url": f"Basic/{id}"}}])

    async def calendar(self, token: str) -> bytes | None:
        """None for a link that is none, or none any more."""
        [link] = await self.server.read([f"Basic/{self.records.id('feed', token)}"])
        if link is None or not any(one["code"] == KIND for one in link["code"]["coding"]):
            return None
        now = self.clock()
        answers = await self.server.read(_queries(link["subject"]["reference"], now))
        found = [entry["resource"] for answer in answers for entry in (answer or {}).get("entry", ())]
        return feed(periods(found), token, now)


def _queries(actor: str, now: datetime) -> Sequence[str]:
    """From the beginning of yesterday; week by week, so that each is one page. No more of a visit than its times."""
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    weeks = [(written(begin + week * _WEEK), written(begin + (week + 1) * _WEEK)) for week in range(_WEEKS_AHEAD)]
    only = f"_elements=status,start,end&_count={_MOST_OF_A_WEEK}"
    visits = [f"Appointment?actor={actor}&status={_TAKEN}&date=ge{at}&date=lt{to}&{only}" for at, to in weeks]
    blocks = [f"Slot?schedule.actor={actor}&status={_BUSY}&start=ge{at}&start=lt{to}&{only}" for at, to in weeks]
    return [*visits, *blocks]
