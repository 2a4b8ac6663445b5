"""What an operator does: see what was put aside, try it again, end what was kept long enough.

GDPR Art. 5(1)(e): a raw message is kept for a short, set time. One that is still put aside is kept until it is settled.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from mappers.mapping.identifiers import OURS
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.provenance import CONNECTOR
from mappers.runtime.delivery import Delivery, Outcome, is_of, received
from mappers.runtime.records import KINDS
from mappers.runtime.server import Server

_OPEN = "on-hold,failed"
_MOST = 200


@dataclass(frozen=True, slots=True)
class LookingAfter:
    server: Server

    async def put_aside(self, source: str) -> list[Json]:
        """Tasks, those that wait and those that failed."""
        query = f"Task?identifier={CONNECTOR}%7C{source}&status={_OPEN}&_count={_MOST}"
        return [task for task in await self.server.search(query) if is_of(task, source)]

    async def report(self, source: str) -> Counter[str]:
        """How many, by what became of them and why: no message, no patient."""
        tasks = await self.put_aside(source)
        return Counter(f"{_code(task)}: {task.get('statusReason', {}).get('text', '')}" for task in tasks)

    async def replay(self, delivery: Delivery) -> Counter[Outcome]:
        """Each once; what fails again stays put aside."""
        found: Counter[Outcome] = Counter()
        for task in await self.put_aside(delivery.source.name):
            [raw] = await self.server.read([task["focus"]["reference"]])
            if raw is not None:
                found[await delivery.again(task, raw, received(raw))] += 1
        return found

    async def expire(self, sources: list[str], now: datetime, age: timedelta) -> int:
        """How many raw messages were ended."""
        held = {task["focus"]["reference"] for source in sources for task in await self.put_aside(source)}
        until = written(now - age)
        ended = 0
        for source in sources:
            query = f"DocumentReference?type={KINDS}%7Craw-message&identifier={CONNECTOR}%7C{source}&date=lt{until}"
            while found := _but(await self.server.search(f"{query}&_count={_MOST}"), held):
                await self.server.write([{"request": {"method": "DELETE", "url": name}} for name in found])
                ended += len(found)
        return ended


def _but(found: list[Json], held: set[str]) -> list[str]:
    names = (f"DocumentReference/{one['id']}" for one in found)
    return [name for name in names if name not in held]


def _code(task: Json) -> str:
    codings = task["code"]["coding"]
    return str(next((one["code"] for one in codings if str(one.get("system", "")).startswith(OURS)), "task"))
