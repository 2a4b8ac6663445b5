"""`POST $reversibility-export` over HTTP: a tar file that leaves while it is made, encrypted to the recipient.

HDS certification referential (2024), requirement 27; https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhir_server.api.body import json_body
from fhir_server.api.given import Given
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel.errors import UnprocessableError

Do: TypeAlias = Callable[[], Awaitable[Response]]

_TAR = "application/x-tar"
_MOST_BYTES = 64 * 1024


async def reversibility_export(surface: Surface, request: Request, call: Call) -> Do:
    """`recipient`, an Organization; `key`, its public key as JWK. Nothing leaves before both were looked at."""
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), ("recipient", "key"))
    recipients, key = given.keys("recipient", {"Organization"}, surface.base), given.one("key", ["valueString"])
    if len(recipients) != 1:
        raise UnprocessableError("There is one recipient, an Organization.", expression="Parameters.parameter")

    async def do() -> Response:
        over = await surface.accounts.reversibility.admitted(call, recipients[0], key)
        parts = surface.accounts.reversibility.archive(over)
        headers = {"Content-Disposition": 'attachment; filename="clinic.tar"'}
        return StreamingResponse(parts, headers=headers, media_type=_TAR)

    return do
