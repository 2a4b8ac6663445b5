"""A Binary over HTTP: as a resource, or in the format of its content, which may be a photo's.

https://hl7.org/fhir/R4/binary.html#rest
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pybase64
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.content import Content, content_answer, wants_all
from fhir_server.api.negotiation import wanted
from fhir_server.api.photos import photo_bytes, photo_resource
from fhir_server.api.preconditions import is_known
from fhir_server.api.preferences import preferences_of
from fhir_server.api.surface import Surface
from fhir_server.engine.attached import Attached
from fhir_server.engine.call import Call
from fhir_server.engine.stored import Stored

Do: TypeAlias = Callable[[], Awaitable[Response]]


async def read_binary(surface: Surface, request: Request, call: Call) -> Do:
    """The content, unless the client asks for FHIR by name."""
    asked, view = wanted(request), preferences_of(request).view

    async def do() -> Response:
        opened = await surface.delivery.open(call, whole=wants_all(request))
        if opened is not None:
            if asked.resource_of(opened.photo.media_type):
                return _varying(await photo_resource(surface, call, opened))
            return photo_bytes(surface, request, call, opened)
        stored = await surface.engine.read(call)
        if asked.resource_of(stored.resource["contentType"]):
            known = is_known(request, stored)
            return _varying(outgoing.unmodified(stored) if known else outgoing.resource(stored.seen_through(view)))
        return content_answer(request, _content(surface, call, stored))

    return do


def _varying(response: Response) -> Response:
    """What was asked for decides what it is."""
    response.headers["Vary"] = "Accept"
    return response


def _content(surface: Surface, call: Call, stored: Stored) -> Content:
    binary = stored.resource
    data = binary.get("data", "")
    held = None if isinstance(data, Attached) else pybase64.b64decode(data)
    context = binary.get("securityContext", {}).get("reference", "")

    def stream(start: int, stop: int) -> AsyncIterator[bytes]:
        parts = _held(held[start:stop]) if held is not None else data.data(start, stop)
        # Where it rests on a legal basis that can be withdrawn, a running stream ends with it.
        return _decided(surface, call, parts) if call.trace.bases else parts

    length = data.length if held is None else len(held)
    media_type = binary["contentType"]
    return Content(media_type, length, str(stored.version), stored.last_updated, stream, context)


async def _held(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _decided(surface: Surface, call: Call, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part
        again = replace(call, instant=surface.clock.now())
        again.trace.forget()
        await surface.engine.look(again)
