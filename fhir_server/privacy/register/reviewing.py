"""A chore: on the day that a review is due, a Task for it comes up; once for each review, whoever completes it.

GDPR Art. 24(1); rows T107, T108. What a review found is an entry of the register, with the day of the next one: that
entry is what ends the duty, the Task only calls for it.
"""

import hashlib
from datetime import UTC, date, tzinfo

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.reading import everything
from fhir_server.privacy.register.compliance import day_of
from fhir_server.privacy.register.entries import REVIEW, SYSTEM, Entry, entry_of
from fhir_server.smart.tie_sources import TASK_SYSTEM

DUE = "review-due"


class Reviewing:
    """`server` is who acts. `zone`: where a day begins."""

    def __init__(self, engine: Engine, server: Principal, clock: Clock, zone: tzinfo = UTC) -> None:
        self._engine, self._server, self._clock, self._zone = engine, server, clock, zone
        self._looked: date | None = None

    async def __call__(self) -> int:
        """How many Tasks it filed; it looks once a day, and after each start."""
        now = self._clock.now()
        today = now.astimezone(self._zone).date()
        if today == self._looked:
            return 0
        looking = Call(Interaction.SEARCH_TYPE, self._server, now, "Basic")
        found = await everything(self._engine, looking, "Basic", [("code", f"{SYSTEM}|{REVIEW}")])
        due = [one for one in _newest([entry_of(each.key.id, each.resource) for each in found]) if _next(one) <= today]
        filed = 0
        for entry in due:
            key = ResourceKey("Task", _id(entry))
            if await self._engine.store.read(key) is None:
                call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
                await self._engine.commit(call, self._engine.drafts.of(key, _task(entry, instant(now))))
                filed += 1
        self._looked = today
        return filed


def _newest(entries: list[Entry]) -> list[Entry]:
    """Of each topic the review that was done last."""
    found: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda one: day_of(one, "done")):
        found[entry.one("topic")] = entry
    return list(found.values())


def _next(entry: Entry) -> date:
    return day_of(entry, "next")


def _id(entry: Entry) -> str:
    """The same of the same review, whoever looks."""
    named = f"{entry.id} {entry.one('done')} {entry.one('next')}"
    return f"{DUE}-{hashlib.sha256(named.encode()).hexdigest()[:40]}"


def _task(entry: Entry, now: str) -> Json:
    return {
        "resourceType": "Task",
        "id": _id(entry),
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": DUE, "display": "A review is due"}]},
        "description": f"{entry.one('topic')}: the review of {entry.one('done')} said {entry.one('next')}.",
        "focus": {"reference": f"Basic/{entry.id}"},
        "authoredOn": now,
    }
