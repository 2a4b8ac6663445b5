"""`POST Media/$capture-session`: a token for one device to bring photographs of one patient, for a quarter of an hour.

Requirements S86, T37, M20; RFC 9449.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body
from fhir_server.api.given import Given
from fhir_server.api.incoming import shown
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Capture
from fhir_server.kernel.clock import instant

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_CREATED = 201


async def begin(surface: Surface, request: Request, call: Call) -> Do:
    """`patient` and `device`, references; and in the header DPoP a proof of the device's key."""
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), ("patient", "device"))
    patient = given.reference("patient", "Patient", surface.base)
    device = given.reference("device", "Device", surface.base)
    proof = await surface.possession.proven(shown(request, surface.base), call.instant)

    async def do() -> Response:
        basis = await surface.photos.capturing.decide(call, patient, device, proof.thumbprint)
        capture = Capture(proof.thumbprint, device, basis)
        session = await surface.captures.begin(call.principal, patient, capture, call.instant)
        said = [
            {"name": "token", "valueString": session.token},
            {"name": "token-type", "valueCode": "DPoP"},
            {"name": "expires", "valueInstant": instant(session.expires)},
            {"name": "basis", "valueString": basis},
        ]
        return outgoing.json_answer({"resourceType": "Parameters", "parameter": said}, _CREATED)

    return do
