"""`Patient/[id]/$summary` and `Patient/$summary?identifier=` over HTTP, by GET and by POST.

https://hl7.org/fhir/uv/ips/STU2/OperationDefinition-summary.html; R-IPS-001.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import optional_json_body, query_pairs
from fhir_server.api.parameters import Parameters
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.export.summary import PROFILE
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.results import FORMATTING

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_KNOWN = frozenset({"identifier", "profile", "graph"})


async def summary(surface: Surface, request: Request, call: Call) -> Do:
    """A document Bundle."""
    given = {name: value for name, value in query_pairs(request) if name not in FORMATTING}
    if request.method == "POST":
        told = Parameters(await optional_json_body(request, _MOST_BYTES), _KNOWN)
        given |= {name: text for name in _KNOWN if (text := told.text(name, "valueString", "valueUri"))}
    if not given.keys() <= _KNOWN or "graph" in given or given.get("profile", PROFILE) != PROFILE:
        raise InvalidRequestError(f"$summary makes a {PROFILE}, of the patient with an id or an identifier.")
    if (call.id is None) is not ("identifier" in given):
        raise InvalidRequestError("$summary is of an id in the address, or of an identifier.")

    async def do() -> Response:
        asked = call if call.id else await surface.rights.summaries.known_by(call, given["identifier"])
        return outgoing.json_answer(await surface.rights.summaries.of(asked))

    return do
