"""`_history` of an instance, a type, the system: with _since, _at and _count, newest first, in pages.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import query_pairs
from fhir_server.api.paging import PARAMETER
from fhir_server.api.presentation import remember_pretty
from fhir_server.api.searches import links
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.position import Position
from fhir_server.engine.window import asked_of
from fhir_server.fhir.view import PARAMETERS, view_of
from fhir_server.search.results import FORMATTING

Do: TypeAlias = Callable[[], Awaitable[Response]]

_SHOWING = FORMATTING | PARAMETERS


async def history(surface: Surface, request: Request, call: Call) -> Do:
    path = "/".join(part for part in (call.type, call.id, "_history") if part)
    pairs = query_pairs(request)
    before: Position | None = None
    given = [value for name, value in pairs if name == PARAMETER]
    if given:
        continued = surface.paging.resume(given[0], path, call.principal, call.instant)
        pairs, before = list(continued.pairs), continued.after
        remember_pretty(request, pairs)
    view = view_of(pairs)
    asked = asked_of([pair for pair in pairs if pair[0] not in _SHOWING])

    async def do() -> Response:
        page = await surface.histories.page(call, asked, before)
        here, following = links(surface, call, path, pairs, page)
        return outgoing.history_bundle(page.seen_through(view), surface.base, here, following)

    return do
