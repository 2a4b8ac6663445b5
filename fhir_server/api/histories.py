"""`_history` of an instance, a type, the system: with _since, _at and _count, newest first, in pages.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import query_pairs
from fhir_server.api.paging import PARAMETER, Continued
from fhir_server.api.presentation import remember_pretty
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.position import Position
from fhir_server.engine.window import Window
from fhir_server.fhir.view import PARAMETERS, view_of
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.results import FORMATTING
from fhir_server.search.types.moment import stretch

Do: TypeAlias = Callable[[], Awaitable[Response]]
Pairs: TypeAlias = Sequence[tuple[str, str]]

_DEFAULT_COUNT, _MOST_COUNT = 20, 1000
_SHOWING = FORMATTING | PARAMETERS


async def history(surface: Surface, request: Request, call: Call) -> Do:
    path = "/".join(part for part in (call.type, call.id, "_history") if part)
    pairs = query_pairs(request)
    before: Position | None = None
    links = [value for name, value in pairs if name == PARAMETER]
    if links:
        continued = surface.paging.resume(links[0], path, call.principal, call.instant)
        pairs, before = list(continued.pairs), continued.after
        remember_pretty(request, pairs)
    view = view_of(pairs)
    window, count = _asked([pair for pair in pairs if pair[0] not in _SHOWING])

    async def do() -> Response:
        page = await surface.histories.page(call, window, before, count)
        following = None
        if page.next:
            continued = Continued(path, tuple(pairs), page.next)
            following = surface.paging.link(surface.base, continued, call.principal, call.instant)
        used = urlencode([pair for pair in pairs if pair[0] not in FORMATTING])
        here = f"{surface.base}/{path}" + (f"?{used}" if used else "")
        return outgoing.history_bundle(page.seen_through(view), surface.base, here, following)

    return do


def _asked(pairs: Pairs) -> tuple[Window, int]:
    since: int | None = None
    at: tuple[int, int] | None = None
    count = _DEFAULT_COUNT
    for name, value in pairs:
        # A raw `+` of a time zone arrives as a space.
        moment = stretch(value.replace(" ", "+"))
        if name == "_count" and value.isascii() and value.isdigit() and int(value[:9]) > 0:
            count = min(int(value[:9]), _MOST_COUNT)
        elif name == "_since" and moment and "T" in value:
            since = moment.low
        elif name == "_at" and moment:
            at = (moment.low, moment.high)
        else:
            raise InvalidRequestError("A history takes _since (an instant), _at (a date or time), _count (from 1).")
    return Window(since, at), count
