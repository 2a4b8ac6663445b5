"""create, read, vread, update, delete over HTTP.

https://hl7.org/fhir/R4/http.html#create, #read, #vread, #update, #delete
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import conditions, outgoing
from fhir_server.api.body import json_body, patch_body
from fhir_server.api.incoming import if_match
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]


async def create(surface: Surface, request: Request, call: Call) -> Do:
    body = await json_body(request, surface.most_body)
    if "if-none-exist" in request.headers:
        return conditions.create(surface, request, call, body)

    async def do() -> Response:
        stored = await surface.engine.create(call, body)
        prefer = request.headers.get("prefer")
        return outgoing.written(stored, surface.base, prefer, readable=may_read(call, stored))

    return do


async def read(surface: Surface, request: Request, call: Call) -> Do:
    async def do() -> Response:
        return outgoing.resource(await surface.engine.read(call), request.headers.get("if-none-match"))

    return do


async def update(surface: Surface, request: Request, call: Call) -> Do:
    match = if_match(request)
    body = await json_body(request, surface.most_body)

    async def do() -> Response:
        only_new = request.headers.get("if-none-match", "").strip() == "*"
        stored = await surface.engine.update(call, body, match, only_new=only_new)
        prefer = request.headers.get("prefer")
        return outgoing.written(stored, surface.base, prefer, readable=may_read(call, stored))

    return do


async def patch(surface: Surface, request: Request, call: Call) -> Do:
    match = if_match(request)
    edit = await patch_body(request, surface.most_body)

    async def do() -> Response:
        stored = await surface.engine.amend(call, edit, match)
        prefer = request.headers.get("prefer")
        return outgoing.existing(stored, surface.base, prefer, readable=may_read(call, stored))

    return do


async def delete(surface: Surface, request: Request, call: Call) -> Do:
    match = if_match(request)

    async def do() -> Response:
        return outgoing.deleted(await surface.engine.delete(call, match))

    return do
