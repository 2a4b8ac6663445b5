"""Requests to the authorization server as values, and its answers as responses: forms in, OAuth's JSON out.

RFC 6749 sections 3.2 and 5, RFC 6750 section 3. R-SMART-025, -037: never an OperationOutcome, whatever fails.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api.body import form_body, query_pairs
from fhir_server.api.gateway import Gateway
from fhir_server.engine.call import Principal
from fhir_server.kernel import json
from fhir_server.kernel.errors import EndedTokenError, FhirError, UnauthenticatedError, UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.kernel.unexpected import unexpected
from fhir_server.smart.oauth.answer import NO_STORE, Answer
from fhir_server.smart.oauth.asked import Asked, Caller

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

JSON = "application/json"
_MOST_FORM_BYTES = 64 * 1024


def caller_of(request: Request, gateway: Gateway) -> Caller:
    address = request.client.host if request.client else ""
    return Caller(gateway.clock.now(), request.state.request_id, address)


async def asked_of(request: Request, gateway: Gateway) -> Asked:
    """Its form, or for GET its query; raises FhirError where there is none that can be read."""
    if request.method == "POST":
        pairs, _ = await form_body(request, _MOST_FORM_BYTES)
    else:
        pairs = query_pairs(request)
    headers = {"authorization": ", ".join(values)} if (values := request.headers.getlist("authorization")) else {}
    return Asked(request.method, f"{gateway.issuer}{request.url.path}", headers, pairs, caller_of(request, gateway))


async def holder(request: Request, gateway: Gateway, scope: str) -> Principal:
    """Who bears a token with this scope, whose grant holds at this instant. Raises a `Refusal`."""
    values = request.headers.getlist("authorization")
    try:
        principal = gateway.bearer.authenticate(values[0] if len(values) == 1 else None, gateway.clock.now())
        if await gateway.grants.ended([principal.grant]):
            raise EndedTokenError
    except UnauthenticatedError:
        code = "invalid_token" if values else "invalid_request"
        raise RefusalError(
            401, code, "A valid bearer token is needed.", f'Bearer realm="fhir", error="{code}"'
        ) from None
    if scope not in principal.scopes:
        challenge = f'Bearer realm="fhir", error="insufficient_scope", scope="{scope}"'
        raise RefusalError(403, "insufficient_scope", f"The token lacks the scope {scope}.", challenge)
    return principal


class RefusalError(Exception):
    """An answer that is an error, with the challenge of RFC 6750 where there is one."""

    def __init__(self, status: int, code: str, description: str, challenge: str = "") -> None:
        super().__init__(code)
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        self.answer = Answer(status, {"error": code, "error_description": description}, {**NO_STORE, **headers})


def response(answer: Answer, more: Mapping[str, str] | None = None) -> Response:
    return Response(json.encode(answer.body), answer.status, {**answer.headers, **(more or {})}, JSON)


def document(body: Json | bytes) -> Response:
    """What says the same to everybody; JSON whatever was asked for (R-SMART-002)."""
    return Response(body if isinstance(body, bytes) else json.encode(body), media_type=JSON)


def spoken(*methods: str) -> Callable[[Handler], Handler]:
    """A handler of these methods all of whose failures are OAuth's."""

    def of(handler: Handler) -> Handler:
        async def handled(request: Request) -> Response:
            if request.method not in methods:
                wrong = Answer(405, {"error": "invalid_request", "error_description": "Another method is needed."})
                return response(wrong, {"Allow": ", ".join(methods)})
            try:
                return await handler(request)
            except RefusalError as refusal:
                return response(refusal.answer)
            except FhirError as error:
                return response(_told(error))
            except Exception as error:  # noqa: BLE001  no fault of ours is told in FHIR's words here
                return response(Answer(500, _body("server_error", unexpected(error)), NO_STORE))

        return handled

    return of


def _told(error: FhirError) -> Answer:
    """A form that is none is a bad request, whatever status FHIR has for it."""
    if isinstance(error, UnavailableError):
        return Answer(503, _body("temporarily_unavailable", error), {**NO_STORE, "Retry-After": "1"})
    return Answer(400, _body("invalid_request", error), NO_STORE)


def _body(code: str, error: FhirError) -> Json:
    return {"error": code, "error_description": error.issues[0].diagnostics}
