"""All that a search finds, as its caller may see it, and how much of it the caller may not see.

Architecture section 2: every search is admitted and narrowed, every resource disclosed. A list that has to be complete
says how much it lacks, and is refused rather than cut short.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import shown, visible_among
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.parse import Pairs, parse
from fhir_server.smart.access import is_granted

MOST = 20_000
_BATCH = 200


class Gathered(NamedTuple):
    """`withheld`: what matches and this caller is not shown."""

    found: Sequence[Stored]
    withheld: frozenset[ResourceKey] = frozenset()


async def gathered(
    engine: Engine, call: Call, type: str, pairs: Pairs, concerns: Callable[[Stored], bool] = lambda _: True
) -> Gathered:
    """`concerns`: does it belong to what is looked for at all?

    Raises ForbiddenError where the caller may not search that type, TooCostlyError for more than MOST.
    """
    # Who may not search a type may yet be granted what this one operation looks at of it.
    granted = call.interaction is Interaction.OPERATION and is_granted(call, type)
    asking = replace(call, type=type, id=None) if granted else _as(call, Interaction.SEARCH_TYPE, type)
    query = await engine.searching.narrowed(asking, parse(type, pairs, engine.language))
    found: list[Stored] = []
    withheld: set[ResourceKey] = set()
    position: Position | None = None
    while True:
        page = await engine.store.find(query, position, _BATCH)
        matches = [match for match in page.matches if concerns(match)]
        seen = await visible_among(engine.steps, asking, query, matches)
        found += seen
        withheld.update({match.key for match in matches} - {one.key for one in seen})
        position = page.position
        if position is None:
            return Gathered(found, frozenset(withheld))
        if len(found) + len(withheld) > MOST:
            raise TooCostlyError(f"More than {MOST} resources of type {type} are concerned.")


async def opened(engine: Engine, call: Call, keys: Sequence[ResourceKey]) -> Gathered:
    """Those of them that are there, likewise."""
    there = await engine.store.read_many(keys)
    found: list[Stored] = []
    withheld: set[ResourceKey] = set()
    for key in dict.fromkeys(keys):
        stored = there.get(key)
        if stored is None or stored.deleted:
            continue
        reading = _as(call, Interaction.READ, key.type, key.id)
        await engine.steps.admit(reading)
        seen = await shown(engine.steps, reading, stored)
        if seen is None:
            withheld.add(key)
        else:
            found.append(seen)
    return Gathered(found, frozenset(withheld))


def _as(call: Call, interaction: Interaction, type: str, id: str | None = None) -> Call:
    return replace(call, interaction=interaction, type=type, id=id, operation=None)
