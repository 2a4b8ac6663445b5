"""What of one type matches and the caller may see: the first so many, or all of it.

Architecture section 2: pages and totals hold nothing that may not be seen.
"""

from dataclasses import dataclass, replace

from fhir_server.engine.call import Call
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import visible_among
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search.tree import Query

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Matching:
    store: ResourceStore
    steps: Step
    limits: Limits

    async def first(self, call: Call, query: Query, after: Position | None, count: int) -> list[Stored]:
        """In the order of the index. Raises TooCostlyError when too many are opened in vain."""
        seen: list[Stored] = []
        position, looked = after, 0
        while len(seen) < count:
            found = await self.store.find(query, position, min(_BATCH, count - len(seen)))
            looked += found.looked
            seen += await visible_among(self.steps, call, query, found.matches)
            position = found.position
            if position is None:
                break
            if looked > self.limits.candidates:
                raise TooCostlyError("Too many resources must be opened to answer; narrow the search.")
        return seen

    async def every(self, call: Call, query: Query, most: int) -> list[Stored]:
        """For a total, or an order that only opening tells. Raises TooCostlyError where more than `most` match."""
        found = await self.first(call, replace(query, sort=()), None, most + 1)
        if len(found) > most:
            raise TooCostlyError(
                f"An exact total, or this order, is worked out among at most {self.limits.candidates} matches; "
                "narrow the search."
            )
        return found
