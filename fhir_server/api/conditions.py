"""Conditional create, update and delete over HTTP: the criteria stand in a header or in the query.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #cdelete
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, patch_body, query_pairs
from fhir_server.api.preconditions import if_match, refuse_conditions
from fhir_server.api.preferences import Preferences, preferences_of
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.conditional import Outcome
from fhir_server.fhir.view import PARAMETERS
from fhir_server.search.parse import parse
from fhir_server.search.results import FORMATTING
from fhir_server.search.tree import Query
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]

_SHOWING = FORMATTING | PARAMETERS
"""About the answer, no part of the criteria."""


def create(surface: Surface, request: Request, call: Call, body: object) -> Do:
    """A create with `If-None-Exist: identifier=…`."""
    written = request.headers["if-none-exist"].partition("?")[2] or request.headers["if-none-exist"]
    query = parse(str(call.type), parse_qsl(written, keep_blank_values=True), surface.engine.language)
    asked = preferences_of(request)

    async def do() -> Response:
        return _answer(surface, asked, call, await surface.conditional.create(call, body, query))

    return do


async def update(surface: Surface, request: Request, call: Call) -> Do:
    """`PUT [type]?…`."""
    refuse_conditions(request, b"if-match")
    match, query, asked = if_match(request), _criteria(surface, request, call), preferences_of(request)
    body = await json_body(request, surface.most_body)

    async def do() -> Response:
        return _answer(surface, asked, call, await surface.conditional.update(call, body, query, match))

    return do


async def patch(surface: Surface, request: Request, call: Call) -> Do:
    """`PATCH [type]?…`."""
    refuse_conditions(request, b"if-match")
    match, query, asked = if_match(request), _criteria(surface, request, call), preferences_of(request)
    edit = await patch_body(request, surface.most_body)

    async def do() -> Response:
        outcome = await surface.conditional.patch(call, query, edit, match)
        return outgoing.existing(outcome.stored, surface.base, asked, readable=may_read(call, outcome.stored))

    return do


async def delete(surface: Surface, request: Request, call: Call) -> Do:
    """`DELETE [type]?…`."""
    refuse_conditions(request)
    query, asked = _criteria(surface, request, call), preferences_of(request)

    async def do() -> Response:
        await surface.conditional.delete(call, query)
        return outgoing.deleted(None, asked.returns)

    return do


def _criteria(surface: Surface, request: Request, call: Call) -> Query:
    """Never lenient: a parameter that is ignored would widen what is written or deleted (R-FHIR-043)."""
    pairs = [pair for pair in query_pairs(request) if pair[0] not in _SHOWING]
    return parse(str(call.type), pairs, surface.engine.language)


def _answer(surface: Surface, asked: Preferences, call: Call, outcome: Outcome) -> Response:
    stored = outcome.stored
    readable = may_read(call, stored)
    if outcome.written:
        return outgoing.written(stored, surface.base, asked, readable=readable)
    return outgoing.existing(stored, surface.base, asked, readable=readable)
