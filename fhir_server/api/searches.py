"""Search over HTTP: of a type, a compartment, the system; by GET, by POST with a form, and by a page link.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import form_body, query_pairs
from fhir_server.api.formats import require_json_format
from fhir_server.api.paging import PARAMETER, Continued
from fhir_server.api.preferences import is_lenient
from fhir_server.api.presentation import remember_pretty
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.fhir.definitions import compartment_types, served_types, why_not_served
from fhir_server.kernel.errors import InvalidRequestError, NotFoundError, TooCostlyError
from fhir_server.search.language import Language
from fhir_server.search.parse import parse_all
from fhir_server.search.results import FORMATTING
from fhir_server.search.several import ANY, Several, compartment, everywhere

Do: TypeAlias = Callable[[], Awaitable[Response]]
Pairs: TypeAlias = Sequence[tuple[str, str]]

_MOST_FORM_BYTES = 64 * 1024
_MOST_BYTES = 8_192
"""What fits into a page link, which carries the search."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What is searched, by its address after the base: `Patient`, nothing, or `Patient/7/Observation`.

    `inside`: of the last one the three parts.
    """

    path: str
    call: Call
    inside: tuple[str, str, str] | None = None

    def understood(self, pairs: Pairs, language: Language, *, lenient: bool) -> Several:
        if self.inside:
            return compartment(*self.inside, pairs, language, lenient=lenient)
        if self.path:
            return Several(parse_all((self.path,), pairs, language, lenient=lenient), named=True)
        return everywhere(pairs, language, lenient=lenient)


async def search(surface: Surface, request: Request, call: Call) -> Do:
    """`GET [type]?…`, `GET ?…`, `GET Patient/7/[type]?…`, or the next page of an earlier search."""
    place = _place(request, call)
    pairs = query_pairs(request)
    asked = replace(place, call=replace(place.call, request=f"{request.method} {request.url.path}?{request.url.query}"))
    links = [value for name, value in pairs if name == PARAMETER]
    if not links:
        return _searching(surface, request, asked, pairs, None)
    if len(pairs) > 1:
        raise InvalidRequestError(f"{PARAMETER} stands alone: it holds all the other parameters.")
    continued = surface.paging.resume(links[0], place.path, call.principal, call.instant)
    return _searching(surface, request, asked, continued.pairs, continued.after)


async def search_by_post(surface: Surface, request: Request, call: Call) -> Do:
    """The same by POST to `_search` below it: the way for names, which then stand in no URL."""
    place = _place(request, call)
    form, text = await form_body(request, _MOST_FORM_BYTES)
    asked = replace(place.call, request=f"POST {request.url.path}?{request.url.query}\n\n{text}")
    return _searching(surface, request, replace(place, call=asked), [*query_pairs(request), *form], None)


def _place(request: Request, call: Call) -> _Place:
    """Raises NotFoundError where the address names no compartment, or nothing that is searched in one."""
    member = request.path_params.get("member")
    if member is None:
        return _Place(call.type or "", call)
    focus, id = str(call.type), str(call.id)
    if focus not in compartment_types():
        raise NotFoundError(f"{focus} has no compartment.")
    if member != ANY and member not in served_types():
        raise NotFoundError(why_not_served(member))
    if member == ANY:
        searching = replace(call, interaction=Interaction.SEARCH_SYSTEM, type=None, id=None)
    else:
        searching = replace(call, type=member, id=None)
    return _Place(f"{focus}/{id}/{member}", searching, (focus, id, member))


def _searching(surface: Surface, request: Request, place: _Place, pairs: Pairs, after: Position | None) -> Do:
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > _MOST_BYTES:
        raise TooCostlyError(f"The parameters of a search have at most {_MOST_BYTES} bytes together.")
    require_json_format([value for name, value in pairs if name == "_format"])
    remember_pretty(request, pairs)
    asked, call = place.understood(pairs, surface.engine.language, lenient=is_lenient(request)), place.call
    [query, *_] = asked.queries
    shaping = [pair for pair in pairs if pair[0] in FORMATTING]

    async def do() -> Response:
        page = await surface.engine.search(call, asked.queries, after, named=asked.named)
        here, following = links(surface, call, place.path, [*query.used, *shaping], page)
        return outgoing.searchset(page.seen_through(query.view), surface.base, here, following, query.ignored)

    return do


def links(surface: Surface, call: Call, path: str, used: Pairs, page: Page) -> tuple[str, str | None]:
    """To the page itself, and to the next one if there is one. What was ignored once is not asked for again."""
    following = None
    if page.next:
        continued = Continued(path, tuple(used), page.next)
        following = surface.paging.link(surface.base, continued, call.principal, call.instant)
    return _self_link(surface.base, path, [pair for pair in used if pair[0] not in FORMATTING]), following


def _self_link(base: str, path: str, used: Pairs) -> str:
    """Exactly the parameters that were used (R-FHIR-042)."""
    here = f"{base}/{path}" if path else base
    return f"{here}?{urlencode(used, safe=':|,$')}" if used else here
