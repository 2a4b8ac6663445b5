"""`Patient/[id]/$everything` over HTTP: by GET, by POST with Parameters, and by a page link.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import optional_json_body, query_pairs
from fhir_server.api.paging import PARAMETER
from fhir_server.api.searches import links
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.everything import everything
from fhir_server.search.results import FORMATTING

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_VALUES = ("valueDate", "valueInstant", "valueCode", "valueInteger", "valueString")


async def patient_everything(surface: Surface, request: Request, call: Call) -> Do:
    """A searchset; 404 for a patient who is not there, or not for this caller."""
    pairs = query_pairs(request)
    if request.method == "POST":
        pairs += _parameters(await optional_json_body(request, _MOST_BYTES))
    after: Position | None = None
    path = f"Patient/{call.id}/$everything"
    if held := [value for name, value in pairs if name == PARAMETER]:
        if len(pairs) > 1:
            raise InvalidRequestError(f"{PARAMETER} stands alone: it holds all the other parameters.")
        continued = surface.paging.resume(held[0], path, call.principal, call.instant)
        pairs, after = list(continued.pairs), continued.after
    asked = everything(str(call.id), pairs, surface.engine.language)
    searching = replace(
        call,
        interaction=Interaction.SEARCH_SYSTEM,
        type=None,
        id=None,
        operation=None,
        request=f"{request.method} {request.url.path}?{request.url.query}",
    )

    async def do() -> Response:
        await surface.engine.read(replace(call, interaction=Interaction.READ, operation=None))
        page = await surface.engine.search(searching, asked.queries, after, named=asked.named)
        shaping = [pair for pair in pairs if pair[0] in FORMATTING]
        here, following = links(surface, searching, path, [*asked.queries[0].used, *shaping], page)
        return outgoing.searchset(page, surface.base, here, following)

    return do


def _parameters(body: object) -> Sequence[tuple[str, str]]:
    """Raises InvalidRequestError where the body is no Parameters resource."""
    if body is None:
        return []
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise InvalidRequestError("$everything takes Parameters, or no body.")
    found = []
    for one in body.get("parameter", []):
        values = [str(one[member]) for member in _VALUES if member in one] if isinstance(one, dict) else []
        if not values or not isinstance(one.get("name"), str):
            raise InvalidRequestError("Each parameter of $everything has a name and a value.")
        found.append((one["name"], values[0]))
    return found
