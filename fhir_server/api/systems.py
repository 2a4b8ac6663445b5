"""What is asked of the server as a whole, and the operations: bundles, the CapabilityStatement, $withdraw.

https://hl7.org/fhir/R4/http.html#transaction, #capabilities, https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, optional_json_body
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.privacy.withdrawal import withdraw
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_OPERATION_BYTES = 64 * 1024


async def bundle(surface: Surface, request: Request, call: Call) -> Do:
    body = await json_body(request, surface.most_body)
    if not isinstance(body, dict):
        raise InvalidRequestError("The base takes a Bundle of type batch or transaction.")
    is_batch = body.get("type") == "batch"
    asked = replace(call, interaction=Interaction.BATCH) if is_batch else call

    async def do() -> Response:
        answers = await surface.bundles.process(asked, body)
        readable = [answer.stored is not None and may_read(asked, answer.stored) for answer in answers]
        return outgoing.bundle_response("batch" if is_batch else "transaction", answers, surface.base, readable)

    return do


async def capabilities(surface: Surface, request: Request, call: Call) -> Do:
    async def do() -> Response:
        await surface.engine.described(call)
        return Response(surface.capability, media_type=outgoing.FHIR_JSON)

    return do


async def withdraw_consent(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Consent/[id]/$withdraw`, with an empty body or Parameters that nothing is read from."""
    await optional_json_body(request, _MOST_OPERATION_BYTES)

    async def do() -> Response:
        stored = await withdraw(surface.engine, call)
        if may_read(call, stored):
            return outgoing.resource(stored)
        return Response(status_code=204)

    return do
