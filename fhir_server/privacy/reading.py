"""Everything of a kind that the caller may see, page after page: nothing of the register is told past its rights.

Architecture section 2: whatever enters an answer passes `disclose`.
"""

from collections.abc import Sequence

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search.parse import parse

MOST = 20_000
_PAGE = "200"


async def everything(
    engine: Engine, call: Call, type: str, pairs: Sequence[tuple[str, str]] = (), most: int = MOST
) -> list[Stored]:
    """Raises ForbiddenError where the caller may not search the type, TooCostlyError where there is more than that."""
    query = parse(type, [*pairs, ("_count", _PAGE)], engine.language)
    found: list[Stored] = []
    after: Position | None = None
    while True:
        page = await engine.searching.answer(call, (query,), after)
        found += page.matches
        if len(found) > most:
            raise TooCostlyError(f"There are more than {most} of type {type}.")
        after = page.next
        if after is None:
            return found
