"""`$validate`: of a resource in the body, or of the one that is stored.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import optional_json_body
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.resource_validation import Question, question

Do: TypeAlias = Callable[[], Awaitable[Response]]


async def validate(surface: Surface, request: Request, call: Call) -> Do:
    """`POST [type]/$validate` and `POST [type]/[id]/$validate`: the resource, or Parameters with it."""
    refuse_conditions(request)
    body = await optional_json_body(request, surface.most_body)
    return _asking(surface, call, question(str(call.type), body, *_said_in_url(request), has_id=call.id is not None))


async def validate_stored(surface: Surface, request: Request, call: Call) -> Do:
    """`GET [type]/[id]/$validate`: the resource as it is stored."""
    return _asking(surface, call, question(str(call.type), None, *_said_in_url(request), has_id=True))


def _said_in_url(request: Request) -> tuple[str | None, str | None]:
    return request.query_params.get("mode"), request.query_params.get("profile")


def _asking(surface: Surface, call: Call, asked: Question) -> Do:
    async def do() -> Response:
        return outgoing.json_answer(await surface.validation.outcome(call, asked))

    return do
