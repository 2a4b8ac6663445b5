"""`Patient/[id]/$summary`: what an International Patient Summary is made of, as the caller may see it now.

R-IPS-001, R-IPS-006: a type that the caller may not read is left out, and said to be withheld.
"""

from collections.abc import Callable
from dataclasses import replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.export.sections import TYPES
from fhir_server.export.summary import Gathered, Maker
from fhir_server.kernel.errors import NotFoundError, TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.search.everything import everything
from fhir_server.search.parse import parse

_AT_ONCE = "500"
_MOST = 5_000


class Summaries:
    """`reads(call, type)`: does the token let the caller read that type at all?"""

    def __init__(self, engine: Engine, maker: Maker, reads: Callable[[Call, str], bool]) -> None:
        self._engine, self._maker, self._reads = engine, maker, reads

    async def of(self, call: Call) -> Json:
        """Raises NotFoundError where there is no such patient, or not for this caller."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            patient = await self._engine.look(call)
            attempt.disclosed.append(patient)
        readable = frozenset(type for type in TYPES if self._reads(call, type))
        entries, beside = await self._found(call, readable) if readable else ([], [])
        gathered = Gathered(patient.resource, entries, beside, TYPES - readable)
        return self._maker.document(gathered, call.instant)

    async def known_by(self, call: Call, identifier: str) -> Call:
        """The same call, of the one patient who has this identifier. Raises NotFoundError for none, or several."""
        searching = replace(call, interaction=Interaction.SEARCH_TYPE, operation=None)
        query = parse("Patient", [("identifier", identifier), ("_count", "2")], self._engine.language)
        page = await self._engine.search(searching, query)
        if len(page.matches) != 1:
            raise NotFoundError("No patient, or more than one, has this identifier.")
        return replace(call, id=page.matches[0].key.id)

    async def _found(self, call: Call, readable: frozenset[str]) -> tuple[list[Json], list[Json]]:
        searching = replace(call, interaction=Interaction.SEARCH_SYSTEM, type=None, id=None, operation=None)
        pairs = [("_type", ",".join(sorted(readable))), ("_count", _AT_ONCE)]
        asked = everything(str(call.id), pairs, self._engine.language)
        entries: dict[str, Stored] = {}
        beside: dict[str, Stored] = {}
        after: Position | None = None
        while True:
            page = await self._engine.search(searching, asked.queries, after, named=asked.named)
            entries.update({str(one.key): one for one in page.matches})
            beside.update({str(one.key): one for one in page.included})
            after = page.next
            if len(entries) > _MOST:
                raise TooCostlyError(f"A summary is made of at most {_MOST} resources.")
            if after is None:
                return [one.resource for one in entries.values()], [one.resource for one in beside.values()]
