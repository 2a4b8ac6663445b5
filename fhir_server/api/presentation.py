"""The last thing that happens to an answer: laid out for a reader, and packed for the way, where that was asked for.

https://hl7.org/fhir/R4/http.html#parameters; RFC 9110 section 8.4.
"""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhir_server.api.content_coding import MUCH, packed, takes_gzip
from fhir_server.kernel import json

_PRETTY = "_pretty"
_VARY = (b"vary", b"accept-encoding")


def remember_pretty(request: Request, pairs: Sequence[tuple[str, str]]) -> None:
    """What a form or a page link asks for stands in no URL, where `presented` would find it."""
    if (_PRETTY, "true") in pairs:
        request.scope["state"][_PRETTY] = True


async def presented(request: Request, response: Response, *, may_pack: bool) -> Response:
    """The answer as it leaves. A stream is left alone: it is no JSON, and it has begun to be decided about."""
    if isinstance(response, StreamingResponse):
        return response
    if response.body and _wants_pretty(request) and "json" in response.headers.get("content-type", ""):
        body = bytes(response.body)
        response.body = await asyncio.to_thread(json.pretty, body) if len(body) >= MUCH else json.pretty(body)
        response.headers["content-length"] = str(len(response.body))
    if may_pack:
        response.raw_headers.append(_VARY)
        if response.body and takes_gzip(request):
            await packed(response)
    return response


def _wants_pretty(request: Request) -> bool:
    if request.scope["query_string"] and request.query_params.get(_PRETTY) == "true":
        return True
    return _PRETTY in request.scope["state"]
