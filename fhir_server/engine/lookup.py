"""Searches inside a search: what another type's resources say, as far as the caller may see them.

Every hop is admitted, narrowed and disclosed as a search of its own type (architecture section 2); what-users-ask 12.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import shown, visible_among
from fhir_server.kernel.errors import ForbiddenError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.registry import Registry
from fhir_server.search.tree import Condition, Filter, Query

_BATCH = 200

Resolve = Callable[[Call, Query], Awaitable[Query]]


@dataclass(frozen=True, slots=True)
class Lookup:
    """`call` is that of the search that asks."""

    store: ResourceStore
    steps: Step
    limits: Limits

    async def found(
        self,
        call: Call,
        type: str,
        conditions: tuple[Condition, ...],
        resolve: Resolve,
        most: int,
        registry: Registry,
        beyond: TooCostlyError | None = None,
    ) -> list[Stored]:
        """Every resource of a type that meets the conditions, if there are not more than `most`.

        Raises ForbiddenError where the caller may not search that type, TooCostlyError (`beyond`) where there are more
        than may be looked at: what is left out would be missing from the answer.
        """
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type=type, id=None)
        await self.steps.admit(asking)
        query = Query(type, tuple(Filter(condition, ("", "")) for condition in conditions), registry=registry)
        query = await resolve(asking, await self.steps.narrow(asking, query))
        seen: list[Stored] = []
        position: Position | None = None
        looked = 0
        while True:
            page = await self.store.find(query, position, _BATCH)
            seen += await visible_among(self.steps, asking, query, page.matches)
            looked += page.looked
            position = page.position
            if len(seen) > most:
                raise beyond or too_many(type, most)
            if position is None:
                return seen
            if looked > self.limits.candidates:
                raise TooCostlyError(f"Too many resources of type {type} must be opened to answer; narrow the search.")

    async def one(self, call: Call, key: ResourceKey) -> Stored | None:
        """A resource by its id; None where the caller may not know of it."""
        reading = replace(call, interaction=Interaction.READ, type=key.type, id=key.id)
        try:
            await self.steps.admit(reading)
        except ForbiddenError:
            return None
        stored = await self.store.read(key)
        if stored is None or stored.deleted:
            return None
        return await shown(self.steps, reading, stored)


def too_many(type: str, most: int) -> TooCostlyError:
    return TooCostlyError(f"A chain leads through more than {most} resources of type {type}; narrow it.")
