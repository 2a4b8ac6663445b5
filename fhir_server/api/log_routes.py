"""The log's own addresses: its checkpoint, tiles and key for everybody, proofs of events for who may read them.

https://c2sp.org/tlog-tiles. Hashes tell nothing but how many events there are.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.api import outgoing
from fhir_server.api.body import query_pairs
from fhir_server.api.paging import PARAMETER
from fhir_server.api.searches import links
from fhir_server.api.surface import Surface
from fhir_server.audit.proofs import Proofs
from fhir_server.engine.call import Call
from fhir_server.kernel.errors import InvalidRequestError

Do: TypeAlias = Callable[[], Awaitable[Response]]

_TEXT, _BYTES = "text/plain; charset=utf-8", "application/octet-stream"
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


async def proof_of_event(surface: Surface, request: Request, call: Call) -> Do:
    """`GET AuditEvent/[id]/$proof`: that it is in the log as it was written."""

    async def do() -> Response:
        return outgoing.json_answer(await surface.proofs.included(call))

    return do


async def proof_of_growth(surface: Surface, request: Request, call: Call) -> Do:
    """`GET AuditEvent/$proof?old=[size]`: that the log only grew."""
    old = request.query_params.get("old")

    async def do() -> Response:
        return outgoing.json_answer(await surface.proofs.grown(call, old))

    return do


async def access_log(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Patient/[id]/$access-log`: who looked at that record, or changed it."""
    path, pairs = f"Patient/{call.id}/$access-log", query_pairs(request)
    continued = [value for name, value in pairs if name == PARAMETER]
    if continued and len(pairs) > 1:
        raise InvalidRequestError(f"{PARAMETER} stands alone: it holds all the other parameters.")
    after = None
    if continued:
        found = surface.paging.resume(continued[0], path, call.principal, call.instant)
        pairs, after = [*found.pairs], found.after

    async def do() -> Response:
        page = await surface.access_log.page(call, pairs, after)
        here, following = links(surface, call, path, pairs, page)
        return outgoing.searchset(page, surface.base, here, following)

    return do


async def checkpoint(request: Request) -> Response:
    return Response(await _proofs(request).checkpoint(), media_type=_TEXT)


async def key(request: Request) -> Response:
    return Response(f"{_proofs(request).key}\n", media_type=_TEXT)


async def tile(request: Request) -> Response:
    hashes, for_good = await _proofs(request).tile(request.path_params["place"])
    return Response(hashes, headers=_FOR_GOOD if for_good else {}, media_type=_BYTES)


def _proofs(request: Request) -> Proofs:
    surface: Surface = request.app.state.clinic.surface
    return surface.proofs


def log_routes() -> list[Route]:
    return [
        Route("/audit/checkpoint", checkpoint),
        Route("/audit/key", key),
        Route("/audit/tile/{place:path}", tile),
    ]
