"""What the authorization server answers: JSON, or an address to send the browser to. Never an OperationOutcome.

RFC 6749 sections 4.1.2.1 and 5.2; RFC 9207 (`iss` in every authorization response, errors too).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from authlib.oauth2 import OAuth2Error

from fhir_server.kernel.json import Json

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_WORDS: Mapping[str, str] = {
    "unsupported_grant_type": "This grant_type is not supported.",
    "unsupported_response_type": "Only response_type=code is supported.",
    "invalid_scope": "The scope is empty, unknown, or beyond what the client is registered for.",
    "invalid_grant": "The code or refresh token is not valid: unknown, used, expired, revoked, or another client's.",
}
"""Where authlib's own words would repeat what the client sent, or say less."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


class TemporarilyUnavailableError(OAuth2Error):  # type: ignore[misc]  # authlib has no types
    """Too much is asked for, or the database does not answer: the same request may succeed later."""

    error = "temporarily_unavailable"
    status_code = 503


class TooManyRequestsError(TemporarilyUnavailableError):
    status_code = 429


def success(body: Json) -> Answer:
    return Answer(200, body, NO_STORE)


def refusal(error: OAuth2Error, *, challenge: bool = False) -> Answer:
    """`challenge`: the client tried HTTP Basic, so it is told so (RFC 6749 5.2)."""
    headers = dict(NO_STORE)
    status = error.status_code
    if error.error == "invalid_client":
        status = 401 if challenge else 400
    if status == 401:  # noqa: PLR2004  Unauthorized
        headers["WWW-Authenticate"] = 'Basic realm="fhir"'
    if isinstance(error, TemporarilyUnavailableError):
        headers["Retry-After"] = "1"
    return Answer(status, {"error": error.error, "error_description": description(error)}, headers)


def description(error: OAuth2Error) -> str:
    return _WORDS.get(error.error) or error.description or "The request was refused."


def address(redirect_uri: str, issuer: str, state: str | None, parameters: Mapping[str, str]) -> str:
    """The redirect URI as it was registered, with the answer added to its query."""
    given = {**parameters, **({"state": state} if state is not None else {}), "iss": issuer}
    query = urlencode(given, quote_via=quote, safe="")
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"


def refused_address(redirect_uri: str, issuer: str, state: str | None, error: OAuth2Error) -> str:
    told = {"error": error.error, "error_description": description(error)}
    return address(redirect_uri, issuer, state, told)
