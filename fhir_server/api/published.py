"""`/.well-known/compliance`: what anybody may check of the clinic before trusting it with anything.

Rows S99, S101; HDS requirements 28 to 31. No token is asked for, and nothing of a patient is told.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.api.health_links import health_link_routes
from fhir_server.api.surface import Surface
from fhir_server.kernel import json


async def compliance(request: Request) -> Response:
    clinic = request.app.state.clinic
    surface: Surface = clinic.surface
    published = await surface.accounts.surveying.published(surface.clock.now())
    told = {
        "clinic": surface.accounts.surveying.clinic,
        **published,
        "receipts": clinic.receipts,
        "log": surface.proofs.key,
    }
    return Response(json.encode(told), media_type="application/json")


def published_routes() -> list[Route]:
    return [Route("/.well-known/compliance", compliance), *health_link_routes()]
