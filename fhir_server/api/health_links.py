"""`Patient/[id]/$health-link`, and what its links lead to: `/shl/…`, where no token is asked for.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html; GDPR Art. 20.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, query_pairs
from fhir_server.api.given import Given
from fhir_server.api.incoming import call_of
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.shlinks.making import Asked, Made
from fhir_server.privacy.shlinks.opening import Request as Sent
from fhir_server.privacy.shlinks.opening import WrongPasscodeError

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES, _MOST_TEXT, _MOST_LABEL = 16 * 1024, 256, 80
_LEAST_PASSCODE = 6
_LONGEST, _USUAL = timedelta(days=30), timedelta(days=7)
_TEXTS, _DAYS = ("valueString",), ("valueDate",)
_ANYWHERE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type",
}
"""A viewer is a page of anybody's; nothing here rests on a cookie or a token."""


async def make(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), {"passcode", "label", "expires"})
    passcode, label = given.one("passcode", _TEXTS), given.one("label", _TEXTS, "")
    if not _LEAST_PASSCODE <= len(passcode) <= _MOST_TEXT:
        raise UnprocessableError(f"A passcode has at least {_LEAST_PASSCODE} characters.", expression="passcode")
    if len(label) > _MOST_LABEL:
        raise UnprocessableError(f"A label has at most {_MOST_LABEL} characters.", expression="label")
    asked = Asked(passcode, label, _expiry(given.one("expires", _DAYS, ""), call.instant))

    async def do() -> Response:
        made = await surface.rights.links.make(call, asked)
        return Response(json.encode(_told(made)), 201, media_type=outgoing.FHIR_JSON)

    return do


async def end(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request)
    given = query_pairs(request)
    key = parse_reference(given[0][1]) if len(given) == 1 and given[0][0] == "link" else None
    if key is None or key.type != "DocumentReference":
        raise InvalidRequestError("A link is ended with `link`, the reference of its DocumentReference.")
    link: ResourceKey = key

    async def do() -> Response:
        await surface.rights.links.end(call, link)
        return Response(status_code=204)

    return do


def health_link_routes() -> list[Route]:
    return [
        Route("/shl/{id}/{secret}", _manifest, methods=["POST", "OPTIONS"]),
        Route("/shl/{id}/{secret}/{ticket}", _file, methods=["GET", "OPTIONS"]),
    ]


async def _manifest(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_ANYWHERE)
    surface: Surface = request.app.state.clinic.surface
    call = call_of(request, Interaction.OPERATION, surface.clock)
    sent = _sent(await json_body(request, _MOST_BYTES))
    try:
        told = await surface.rights.opening.manifest(call, request.path_params["secret"], sent)
    except WrongPasscodeError as wrong:
        return _answer({"remainingAttempts": wrong.left}, 401)
    return _answer(told)


async def _file(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_ANYWHERE)
    surface: Surface = request.app.state.clinic.surface
    call = call_of(request, Interaction.OPERATION, surface.clock)
    secret, ticket = request.path_params["secret"], request.path_params["ticket"]
    content = await surface.rights.opening.file(call, secret, ticket)
    return Response(content, media_type="application/jose", headers=_ANYWHERE)


def _answer(told: Json, status: int = 200) -> Response:
    return Response(json.encode(told), status, _ANYWHERE, "application/json")


def _sent(body: object) -> Sent:
    given: dict[str, Any] = body if isinstance(body, dict) else {}
    recipient, passcode = given.get("recipient"), given.get("passcode", "")
    most = given.get("embeddedLengthMax")
    texts = all(isinstance(one, str) and len(one) <= _MOST_TEXT for one in (recipient, passcode))
    whole = most is None or (isinstance(most, int) and not isinstance(most, bool))
    if not texts or not recipient or not whole:
        raise InvalidRequestError("A request for a manifest has recipient, passcode and perhaps embeddedLengthMax.")
    return Sent(str(recipient), str(passcode), most)


def _told(made: Made) -> Json:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "link", "valueUri": made.link},
            {"name": "document", "valueReference": {"reference": str(made.document)}},
            {"name": "expires", "valueInstant": instant(made.expires)},
        ],
    }


def _expiry(day: str, now: datetime) -> datetime:
    """At the end of that day."""
    if not day:
        return now + _USUAL
    try:
        end = datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise UnprocessableError("`expires` is a day.", expression="expires") from None
    if not now < end <= now + _LONGEST:
        raise UnprocessableError(f"A link lasts at most {_LONGEST.days} days.", expression="expires")
    return end
