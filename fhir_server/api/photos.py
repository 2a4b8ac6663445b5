"""`GET Binary/[id]`: a photo, whole or by range, decided and recorded like a read of its Media.

https://hl7.org/fhir/R4/binary.html; RFC 9110 section 14.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhir_server.api import instances, outgoing
from fhir_server.api.incoming import accepts_fhir
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel import json
from fhir_server.kernel.errors import RangeNotSatisfiableError
from fhir_server.media.delivery import Opened

Do: TypeAlias = Callable[[], Awaitable[Response]]

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_WHOLE, _PART = 200, 206


async def read_binary(surface: Surface, request: Request, call: Call) -> Do:
    """The bytes of a photo; a FHIR Binary where the client asks for JSON; a plain Binary as it was stored."""
    as_fhir = accepts_fhir(request)
    asked_range = request.headers.get("range") if not as_fhir else None

    async def do() -> Response:
        opened = await surface.delivery.open(call)
        if opened is None:
            return await (await instances.read(surface, request, call))()
        if as_fhir:
            return await _as_resource(surface, call, opened)
        start, stop = _range(asked_range, opened.photo.length)
        headers = _headers(opened, start, stop, partial=asked_range is not None)
        status = _PART if "Content-Range" in headers else _WHOLE
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=opened.photo.media_type)
        body = surface.delivery.stream(call, opened, start, stop)
        return StreamingResponse(body, status, headers, opened.photo.media_type)

    return do


async def _as_resource(surface: Surface, call: Call, opened: Opened) -> Response:
    photo = opened.photo
    data = b"".join([part async for part in surface.delivery.stream(call, opened, 0, photo.length)])
    binary = {
        "resourceType": "Binary",
        "id": photo.id,
        "contentType": photo.media_type,
        "securityContext": {"reference": str(photo.owner)},
        "data": base64.b64encode(data).decode(),
    }
    return Response(json.encode(binary), media_type=outgoing.FHIR_JSON)


def _headers(opened: Opened, start: int, stop: int, *, partial: bool) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(stop - start),
        "Content-Disposition": "inline",
        "ETag": f'"{opened.photo.id}"',
        "Last-Modified": format_datetime(opened.media.last_updated, usegmt=True),
    }
    if partial and (start, stop) != (0, opened.photo.length):
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{opened.photo.length}"
    return headers


def _range(asked: str | None, length: int) -> tuple[int, int]:
    """First byte, and the one after the last. What is not one range of bytes is ignored, as RFC 9110 has it."""
    found = _RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or found[1] == found[2] == "":
        return 0, length
    if found[1] == "":
        start, stop = max(0, length - int(found[2])), length
    else:
        start, stop = int(found[1]), min(int(found[2]) + 1, length) if found[2] else length
    if found[1] and found[2] and int(found[1]) > int(found[2]):
        return 0, length
    if start >= length or start >= stop:
        raise RangeNotSatisfiableError(length)
    return start, stop
