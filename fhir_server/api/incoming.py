"""From an HTTP request to a Call: who asks, for what, under which id it is recorded.

https://hl7.org/fhir/R4/http.html#mime-type, #custom; RFC 9110 section 12.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.requests import Request

from fhir_server.engine.call import ANONYMOUS, Call, Interaction, Principal
from fhir_server.fhir.definitions import served_types, why_not_served
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import NotFoundError, UnauthenticatedError
from fhir_server.kernel.identity import is_id, is_version, random_id
from fhir_server.smart.possession import Shown

Authenticate = Callable[[Shown, datetime], Awaitable[Principal]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII)


def call_of(request: Request, interaction: Interaction, clock: Clock, principal: Principal = ANONYMOUS) -> Call:
    """The call as far as the URL tells it; a type or id that cannot be one is left out here and refused later."""
    type, id = request.path_params.get("type"), request.path_params.get("id")
    version = request.path_params.get("version", "")
    return Call(
        interaction,
        principal,
        clock.now(),
        type if type in served_types() else None,
        id if id and is_id(id) else None,
        int(version) if is_version(version) else None,
        request_id=request.state.request_id,
        client_address=request.client.host if request.client else "",
        operation=request.path_params.get("operation"),
    )


def request_id_of(headers_value: str | None) -> str:
    """The client's X-Request-Id where it is harmless to repeat, else a fresh one."""
    return headers_value if headers_value and _REQUEST_ID.fullmatch(headers_value) else random_id()


def require_target(request: Request, call: Call) -> None:
    """404 for a type that is not served or an id or version that cannot exist."""
    if "type" in request.path_params and call.type is None:
        raise NotFoundError(why_not_served(request.path_params["type"]))
    if "id" in request.path_params and call.id is None:
        raise NotFoundError("There is no resource with this id.")
    if "version" in request.path_params and call.version is None:
        raise NotFoundError("There is no such version.")


async def authenticated(request: Request, authenticate: Authenticate, clock: Clock, base: str) -> Principal:
    """Raises UnauthenticatedError; only the Authorization header counts, with a proof where the token is bound."""
    values = request.headers.getlist("authorization")
    if len(values) > 1:
        raise UnauthenticatedError("There is more than one Authorization header.")
    return await authenticate(shown(request, base), clock.now())


def shown(request: Request, base: str) -> Shown:
    """`base` is the external FHIR base: proofs are of the address as clients know it, and nothing else asks for it."""
    proofs = request.headers.getlist("dpop")
    url = f"{base.removesuffix('/fhir')}{request.url.path}" if proofs else ""
    return Shown(request.headers.get("authorization"), proofs, request.method, url)
