"""Which subscriptions there are, as they stand now; and their state, which the server alone changes.

https://hl7.org/fhir/R4/valueset-subscription-status.html
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import FhirError, GoneError, NotFoundError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.subscriptions.asked import asked
from fhir_server.subscriptions.holder import Holder, holder_of
from fhir_server.subscriptions.ports import Changes, Progress, Progresses, Standing
from fhir_server.subscriptions.subscriber import MOST_TRIES, Subscriber
from fhir_server.subscriptions.together import Together

_DISMISSED = "Its client may not act any more."


@dataclass(frozen=True, slots=True)
class Duties:
    """`server` is who acts when a state changes; `issuer` that of the clients' tokens; `goes`: is this an endpoint?"""

    server: Principal
    issuer: str
    standing: Standing
    goes: Callable[[str], bool]


class Roster:
    def __init__(self, engine: Engine, changes: Changes, progresses: Progresses, duties: Duties, clock: Clock) -> None:
        self._engine, self._progresses = engine, progresses
        self._duties, self._clock = duties, clock
        self._current = Together(lambda: changes.current("Subscription"))
        self._known: dict[str, int] = {}
        self._there: dict[str, Subscriber] = {}

    def clear(self) -> None:
        """Forget what is known: it is read again."""
        self._known, self._there = {}, {}

    async def fresh(self, busy: Collection[str]) -> list[Subscriber]:
        """Those that are requested or active. One that is being told stays as it is: whoever tells it looks itself."""
        current = await self._current.now()
        for id in [id for id in self._known if id not in current and id not in busy]:
            self._known.pop(id)
            self._there.pop(id, None)
            await self._progresses.forget(id)
        for id, version in current.items():
            if self._known.get(id) != version and id not in busy:
                await self._load(id)
        now = self._clock.now()
        for one in [one for one in self._there.values() if one.is_over(now) and one.id not in busy]:
            await self.turn(one, "off")
        return list(self._there.values())

    async def still(self, one: Subscriber) -> bool:
        """Is it as it was read, and may its client act? Its rights are brought up to this instant."""
        current, principal = await asyncio.gather(self._current.now(), self._now(one.holder))
        if current.get(one.id) != one.version:
            return False
        if principal is None:
            await self.turn(one, "off", _DISMISSED)
            return False
        one.rights = Holder(principal, one.holder.purpose)
        return True

    async def turn(self, one: Subscriber, status: str, error: str = "") -> None:
        """Say so in the resource, unless its client was faster."""
        one.version = await self._said(one.id, one.version, status, error) or one.version
        self._known[one.id], one.status = one.version, status
        if status != "active":
            self._there.pop(one.id, None)
        if status == "off":
            one.changed(begin=None)
            await self._progresses.save(one.id, one.progress)

    async def _load(self, id: str) -> None:
        stored = await self._engine.store.read(ResourceKey("Subscription", id))
        is_new = id not in self._known
        self._there.pop(id, None)
        if stored is None or stored.deleted:
            return
        self._known[id] = stored.version
        holder = holder_of(stored.resource, self._duties.issuer)
        if holder is None:
            return
        progress = await self._progresses.get(id) or Progress()
        status = stored.resource["status"]
        if status == "off" and progress.begin is not None:
            await self._progresses.save(id, replace(progress, begin=None))
        if status not in {"requested", "active"}:
            return
        await self._join(stored, holder, _afresh(progress, stored, is_new=is_new))

    async def _join(self, stored: Stored, holder: Holder, progress: Progress) -> None:
        id, resource = stored.key.id, stored.resource
        try:
            wanted = asked(resource, self._engine.language, self._duties.goes)
        except FhirError as failure:
            self._known[id] = await self._said(id, stored.version, "error", failure.issues[0].diagnostics) or 0
            return
        principal = await self._now(holder)
        rights = Holder(principal or replace(holder.principal, scopes=()), holder.purpose)
        one = Subscriber(id, stored.version, resource["status"], wanted, holder, rights, progress)
        await self._progresses.save(id, progress)
        if principal is None:
            await self.turn(one, "off", _DISMISSED)
        else:
            self._there[id] = one

    async def _now(self, holder: Holder) -> Principal | None:
        """As its registration lets it act, for the purpose for which it subscribed."""
        principal = await self._duties.standing(holder.principal)
        is_for_it = principal is not None and (not principal.purposes or holder.purpose in principal.purposes)
        return principal if is_for_it else None

    async def _said(self, id: str, version: int, status: str, error: str) -> int | None:
        call = Call(Interaction.UPDATE, self._duties.server, self._clock.now(), "Subscription", id)

        def edit(resource: Json) -> Json:
            rest = {name: value for name, value in resource.items() if name != "error"}
            return {**rest, "status": status, **({"error": error} if error else {})}

        try:
            return (await self._engine.amend(call, edit, version)).version
        except (VersionConflictError, NotFoundError, GoneError):
            return None


def _afresh(progress: Progress, stored: Stored, *, is_new: bool) -> Progress:
    """Begun by the version that asks for it; one that was in error goes on where it was, and is tried at once."""
    if progress.begin is None:
        progress = replace(progress, begin=stored.seq, settled=stored.seq)
    if not is_new or progress.failures >= MOST_TRIES:
        progress = replace(progress, failures=0, due=None)
    return progress
