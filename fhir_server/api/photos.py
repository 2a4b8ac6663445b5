"""`GET Binary/[id]` of a photo: its bytes, decided and recorded like a read of its Media.

Architecture section 9; https://hl7.org/fhir/R4/binary.html#rest
"""

import pybase64
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.content import Content, content_answer
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel import json
from fhir_server.media.delivery import Opened


def photo_bytes(surface: Surface, request: Request, call: Call, opened: Opened) -> Response:
    photo, since = opened.photo, opened.media.last_updated
    return content_answer(
        request,
        Content(
            photo.media_type,
            photo.length,
            photo.id,
            since,
            lambda start, stop: surface.delivery.stream(call, opened, start, stop),
            inline=True,
        ),
    )


async def photo_resource(surface: Surface, call: Call, opened: Opened) -> Response:
    photo = opened.photo
    data = b"".join([part async for part in surface.delivery.stream(call, opened, 0, photo.length)])
    binary = {
        "resourceType": "Binary",
        "id": photo.id,
        "contentType": photo.media_type,
        "securityContext": {"reference": str(photo.owner)},
        "data": pybase64.b64encode_as_string(data),
    }
    return Response(json.encode(binary), media_type=outgoing.FHIR_JSON)
