"""What is asked of the server as a whole: bundles, the CapabilityStatement.

https://hl7.org/fhir/R4/http.html#transaction, #capabilities, https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.preferences import preferences_of
from fhir_server.api.searches import links
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel import json
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.smart.access import may_read
from fhir_server.smart.break_glass import parameters

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_OPERATION_BYTES = 64 * 1024
_SHOWING = frozenset({"representation", "OperationOutcome"})
"""With these preferences a write is answered with something of what it wrote; otherwise nobody asks who may read it."""


async def bundle(surface: Surface, request: Request, call: Call) -> Do:
    """A batch or transaction. Its conditions are those of its entries."""
    refuse_conditions(request)
    body = await json_body(request, surface.most_body)
    if not isinstance(body, dict):
        raise InvalidRequestError("The base takes a Bundle of type batch or transaction.")
    is_batch = body.get("type") == "batch"
    asked = replace(call, interaction=Interaction.BATCH) if is_batch else call
    returns = preferences_of(request).returns

    async def do() -> Response:
        answers = await surface.bundles.process(asked, body)
        readable = [
            answer.stored is not None
            and (answer.method == "GET" or returns in _SHOWING)
            and may_read(asked, answer.stored)
            for answer in answers
        ]
        pages = {
            index: links(surface, asked, answer.listed.path, answer.listed.used, answer.listed.page)
            for index, answer in enumerate(answers)
            if answer.listed is not None
        }
        kind = "batch" if is_batch else "transaction"
        return outgoing.bundle_response(kind, answers, surface.base, readable, pages, returns)

    return do


async def capabilities(surface: Surface, request: Request, call: Call) -> Do:
    """`GET metadata`, of one of its modes."""
    mode, view = request.query_params.get("mode") or "full", preferences_of(request).view
    statements = surface.capability()
    statement = statements.get(mode)
    if statement is None:
        raise InvalidRequestError(f"metadata has the modes {', '.join(sorted(statements))}.")

    async def do() -> Response:
        await surface.engine.described(call)
        shown = statement if view.is_whole else json.encode(view.of(json.decode_trusted(statement)))
        return Response(shown, media_type=outgoing.FHIR_JSON)

    return do


async def break_glass(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Patient/[id]/$break-glass` with Parameters: a reason, and for how many minutes."""
    body = await json_body(request, _MOST_OPERATION_BYTES)

    async def do() -> Response:
        broken = await surface.glass.broken(call, body)
        return Response(json.encode(parameters(broken)), media_type=outgoing.FHIR_JSON)

    return do
