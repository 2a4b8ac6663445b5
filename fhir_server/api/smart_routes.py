"""The addresses of the authorization server, and what each takes.

SMART App Launch 2.2, RFC 6749, RFC 7009, RFC 7662, OpenID Connect Core. The pages where people sign in are `ui`'s.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fhir_server.api.body import json_body
from fhir_server.api.gateway import STYLE, Gateway
from fhir_server.api.oauth_messages import (
    RefusalError,
    asked_of,
    caller_of,
    document,
    holder,
    response,
    spoken,
)
from fhir_server.smart.launch import LaunchError, launch_of
from fhir_server.smart.oauth.answer import NO_STORE, Answer
from fhir_server.smart.oauth.authorize import WrongPlaceError
from fhir_server.smart.scope_grants import INTROSPECTS, LAUNCHES

_MOST_LAUNCH_BYTES = 32 * 1024
_SEE_OTHER = 303
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_WRONG_PLACE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>This link does not work</title></head><body>
<main><h1>This link does not work</h1>
<p>The app that sent you here is not registered, or asked for the answer at an address that is not registered. Nothing
was sent to it. Please tell whoever gave you the link.</p></main>
<main lang="fr"><h1>Ce lien ne fonctionne pas</h1>
<p>L&rsquo;application qui vous envoie ici n&rsquo;est pas enregistrée, ou demande la réponse à une adresse qui ne
l&rsquo;est pas. Rien ne lui a été transmis. Merci de prévenir la personne qui vous a donné ce lien.</p></main>
</body></html>
"""


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


@spoken("GET", "POST")
async def authorize(request: Request) -> Response:
    """On to sign in, or back to the app with an error; to neither where it is not sure who asks."""
    gateway = _gateway(request)
    try:
        address = await gateway.authorization.authorize(await asked_of(request, gateway))
    except WrongPlaceError:
        return Response(_WRONG_PLACE, 400, media_type="text/html")
    return RedirectResponse(address, _SEE_OTHER)


@spoken("POST")
async def token(request: Request) -> Response:
    gateway = _gateway(request)
    return response(await gateway.authorization.token(await asked_of(request, gateway)))


@spoken("POST")
async def revoke(request: Request) -> Response:
    gateway = _gateway(request)
    return response(await gateway.authorization.revoke(await asked_of(request, gateway)))


@spoken("POST")
async def introspect(request: Request) -> Response:
    """By a client's own credentials, or by a token of a resource server's."""
    gateway = _gateway(request)
    asked = await asked_of(request, gateway)
    by_token = asked.headers.get("authorization", "").casefold().startswith("bearer")
    bearer = await holder(request, gateway, INTROSPECTS) if by_token else None
    return response(await gateway.authorization.introspect(asked, bearer))


@spoken("GET", "POST")
async def userinfo(request: Request) -> Response:
    gateway = _gateway(request)
    who = await holder(request, gateway, "openid")
    return response(Answer(200, gateway.authorization.person(who), NO_STORE))


@spoken("POST")
async def launch(request: Request) -> Response:
    """An EHR is about to open an app: it gets the handle that goes into the app's launch URL."""
    gateway = _gateway(request)
    by = await holder(request, gateway, LAUNCHES)
    body = await json_body(request, _MOST_LAUNCH_BYTES)
    try:
        wanted = launch_of(body, f"{gateway.issuer}{STYLE}")
        told = await gateway.authorization.launch(wanted, by, caller_of(request, gateway))
    except LaunchError as error:
        raise RefusalError(400, "invalid_request", str(error)) from None
    return response(Answer(201, {"iss": f"{gateway.issuer}/fhir", **told}, NO_STORE))


@spoken("GET", "HEAD")
async def jwks(request: Request) -> Response:
    return document(_gateway(request).keys.published())


@spoken("GET", "HEAD")
async def told(request: Request) -> Response:
    """One of the documents that say the same to everybody."""
    return document(_gateway(request).documents[request.url.path])


_TABLE = {
    "/auth/authorize": authorize,
    "/auth/token": token,
    "/auth/revoke": revoke,
    "/auth/introspect": introspect,
    "/auth/userinfo": userinfo,
    "/auth/launch": launch,
    "/auth/jwks": jwks,
    STYLE: told,
    "/.well-known/openid-configuration": told,
    "/.well-known/oauth-authorization-server": told,
}


def smart_routes() -> list[Route]:
    # Every method reaches the handler, so that a wrong one is refused in OAuth's words.
    return [Route(path, handler, methods=_METHODS) for path, handler in _TABLE.items()]
