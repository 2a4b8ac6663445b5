"""create, read, vread, update, delete over HTTP.

https://hl7.org/fhir/R4/http.html#create, #read, #vread, #update, #delete
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import conditions, outgoing
from fhir_server.api.body import patch_body, resource_body
from fhir_server.api.preconditions import if_match, is_known, only_new, refuse_conditions
from fhir_server.api.preferences import preferences_of
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]


async def create(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request, b"if-none-exist")
    asked = preferences_of(request)
    body = await resource_body(request, call, surface.most_body)
    if "if-none-exist" in request.headers:
        return conditions.create(surface, request, call, body)

    async def do() -> Response:
        stored = await surface.engine.create(call, body)
        return outgoing.written(stored, surface.base, asked, readable=may_read(call, stored))

    return do


async def read(surface: Surface, request: Request, call: Call) -> Do:
    view = preferences_of(request).view

    async def do() -> Response:
        stored = await surface.engine.read(call)
        return (
            outgoing.unmodified(stored) if is_known(request, stored) else outgoing.resource(stored.seen_through(view))
        )

    return do


async def update(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request, b"if-match", b"if-none-match")
    match, is_first, asked = if_match(request), only_new(request), preferences_of(request)
    body = await resource_body(request, call, surface.most_body)

    async def do() -> Response:
        stored = await surface.engine.update(call, body, match, only_new=is_first)
        return outgoing.written(stored, surface.base, asked, readable=may_read(call, stored))

    return do


async def patch(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request, b"if-match")
    match, asked = if_match(request), preferences_of(request)
    edit = await patch_body(request, surface.most_body)

    async def do() -> Response:
        stored = await surface.engine.amend(call, edit, match)
        return outgoing.existing(stored, surface.base, asked, readable=may_read(call, stored))

    return do


async def delete(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request, b"if-match")
    match, asked = if_match(request), preferences_of(request)

    async def do() -> Response:
        return outgoing.deleted(await surface.engine.delete(call, match), asked.returns)

    return do
