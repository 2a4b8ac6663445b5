"""Search over HTTP: by GET, by POST with a form, and by a page link.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import form_body, query_pairs
from fhir_server.api.paging import PARAMETER, Continued
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

Do: TypeAlias = Callable[[], Awaitable[Response]]
Pairs: TypeAlias = Sequence[tuple[str, str]]

_MOST_FORM_BYTES = 64 * 1024
_MOST_BYTES = 8_192
"""What fits into a page link, which carries the search."""


async def search(surface: Surface, request: Request, call: Call) -> Do:
    """`GET [type]?…`, or the next page of an earlier search."""
    pairs = query_pairs(request)
    asked = replace(call, request=f"{request.method} {request.url.path}?{request.url.query}")
    links = [value for name, value in pairs if name == PARAMETER]
    if not links:
        return _searching(surface, request, asked, pairs, None)
    if len(pairs) > 1:
        raise InvalidRequestError(f"{PARAMETER} stands alone: it holds all the other parameters.")
    continued = surface.paging.resume(links[0], str(call.type), call.principal, call.instant)
    return _searching(surface, request, asked, continued.pairs, continued.after)


async def search_by_post(surface: Surface, request: Request, call: Call) -> Do:
    """`POST [type]/_search`: the way for names, which then stand in no URL."""
    form, text = await form_body(request, _MOST_FORM_BYTES)
    asked = replace(call, request=f"POST {request.url.path}?{request.url.query}\n\n{text}")
    return _searching(surface, request, asked, [*query_pairs(request), *form], None)


def _searching(surface: Surface, request: Request, call: Call, pairs: Pairs, after: Position | None) -> Do:
    type = str(call.type)
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > _MOST_BYTES:
        raise TooCostlyError(f"The parameters of a search have at most {_MOST_BYTES} bytes together.")
    lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "")
    query = parse(type, pairs, surface.engine.language, lenient=lenient)

    async def do() -> Response:
        page = await surface.engine.search(call, query, after)
        following = None
        if page.next:
            continued = Continued(type, tuple(pairs), page.next)
            following = surface.paging.link(surface.base, continued, call.principal, call.instant)
        return outgoing.searchset(page, surface.base, _self_link(surface.base, query), following)

    return do


def _self_link(base: str, query: Query) -> str:
    """Exactly the parameters that were used (R-FHIR-042)."""
    used = urlencode(query.self_parameters(), safe=":|,$")
    return f"{base}/{query.type}?{used}" if used else f"{base}/{query.type}"
