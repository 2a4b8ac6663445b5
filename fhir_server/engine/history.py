"""The history interactions: of an instance, of a type, of the system.

https://hl7.org/fhir/R4/http.html#history; R-SMART-066: a past version is shown to whoever may see it as it was then and
as it is now.
"""

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call
from fhir_server.engine.integrity import LOG
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Asked
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import NoLegalBasisError, NotFoundError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey

_BATCH = 50


class Histories:
    def __init__(self, engine: Engine, most_candidates: int = 2000) -> None:
        self._engine, self._most_candidates = engine, most_candidates

    async def page(self, call: Call, asked: Asked, before: Position | None = None) -> Page:
        """Versions newest first, deletions among them. Of an instance that the caller may not know of: 404."""

        async def once(attempt: Attempt) -> Page:
            page = await self.found(call, asked, before)
            attempt.disclosed.extend(page.matches)
            return page

        return await disclosing(self._engine.steps, call, once)

    async def found(self, call: Call, asked: Asked, before: Position | None = None) -> Page:
        """The same, not recorded: for whoever calls it to record, or to forget."""
        await self._engine.steps.admit(call)
        seen: list[Stored] = []
        looked, place, count = 0, before, asked.count
        while len(seen) <= count:
            batch = max(_BATCH, count + 1)
            found = await self._engine.store.versions(self._types(call), call.id, asked.window, place, batch)
            seen += await self._visible(call, found)
            looked += len(found)
            if len(found) < batch:
                break
            if looked > self._most_candidates:
                raise TooCostlyError("Too many versions must be opened to answer; narrow the history.")
            place = _position(found[-1])
        if call.id and not seen and before is None:
            await self._require_known(call)
        page = seen[:count]
        more = len(seen) > count
        total = len(page) if before is None and not more else None
        return Page(tuple(page), _position(page[-1]) if more and page else None, total)

    def _types(self, call: Call) -> frozenset[str]:
        return frozenset({call.type}) if call.type else served_types() - {LOG}

    async def _require_known(self, call: Call) -> None:
        """An empty window of a resource that exists is an empty history; of one that does not, 404."""
        key = ResourceKey(str(call.type), str(call.id))
        current = await self._engine.store.read(key)
        if current is None or await self._engine.steps.disclose(call, current) is None:
            raise NotFoundError("There is no resource with this id.")

    async def _visible(self, call: Call, found: list[Stored]) -> list[Stored]:
        """What the steps disclose of them; and nothing of those that they would not disclose as they are now."""
        current = await self._engine.store.read_many({stored.key for stored in found})
        shown = []
        await self._engine.steps.foresee(call, found)
        for stored in found:
            # An event is what it was.
            now = stored if stored.key.type == LOG else current.get(stored.key)
            if now is None or (seen := await self._shown(call, stored)) is None:
                continue
            if await self._shown(call, now) is not None:
                shown.append(seen)
        return shown

    async def _shown(self, call: Call, stored: Stored) -> Stored | None:
        try:
            return await self._engine.steps.disclose(call, stored)
        except NoLegalBasisError:
            return None


def _position(stored: Stored) -> Position:
    return Position(stored.seq, f"{stored.key}/{stored.version}")
