"""The authorization request: understood and checked whole before a person sees anything of it.

RFC 6749 sections 4.1.1 and 4.1.2.1, RFC 8707, RFC 9700; SMART App Launch 2.2 "Obtain authorization code"; OpenID
Connect Core 3.1.2.1. R-SMART-012 to -019, -023.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnsupportedResponseTypeError

from fhir_server.kernel import json
from fhir_server.smart import launch as launches
from fhir_server.smart.clients.client import Client
from fhir_server.smart.launch import Launch
from fhir_server.smart.oauth.answer import refused_address
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.server import Server
from fhir_server.smart.opaque import new_secret
from fhir_server.smart.ports import Handles

WAITING, PATIENCE = "request", timedelta(minutes=10)
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_NOT_TAKEN = frozenset({"request", "request_uri"})
_LONGEST = 2000
_MOST_DIGITS = 9


class WrongPlaceError(Exception):
    """Client or redirect URI is not good: whoever asks must not be sent anywhere (RFC 6749 4.1.2.1)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A valid request, as kept until a person answers it. `pairs` are its parameters; `launch` opens its EHR launch."""

    pairs: Sequence[tuple[str, str]]
    scopes: tuple[str, ...]
    launched: Launch | None
    expires: datetime

    def encoded(self) -> bytes:
        launched = self.launched.encoded().decode() if self.launched else None
        expires = int(self.expires.timestamp())
        return json.encode({"pairs": self.pairs, "scopes": self.scopes, "launched": launched, "expires": expires})

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(self.pairs)

    @property
    def needs_patient(self) -> bool:
        """Also where no context was asked for by name: `patient/` scopes without a patient reach nobody."""
        of_patient = any(scope == "launch/patient" or scope.startswith("patient/") for scope in self.scopes)
        return of_patient and not (self.launched and self.launched.patient)


def decoded(raw: bytes) -> Waiting:
    found: Mapping[str, Any] = json.decode_trusted(raw)
    pairs = tuple((str(name), str(value)) for name, value in found["pairs"])
    launched = launches.decoded(found["launched"].encode()) if found["launched"] else None
    return Waiting(pairs, tuple(found["scopes"]), launched, datetime.fromtimestamp(found["expires"], UTC))


class AuthorizationRequests:
    """`base` is the FHIR base, which `aud` has to name; `issuer` the URL that goes into each answer."""

    def __init__(self, server: Server, handles: Handles, issuer: str, base: str) -> None:
        self._server, self._handles, self._issuer, self._base = server, handles, issuer, base

    def begin(self, asked: Asked) -> str:
        """Where to send the browser: to sign in, or back with what was wrong. Raises WrongPlaceError."""
        client, redirect_uri = self.place(asked)
        try:
            waiting = self._understood(asked, client)
        except OAuth2Error as error:
            asked.refused = error
            return refused_address(redirect_uri, self._issuer, asked.payload.state, error)
        id = new_secret()
        self._handles.put(WAITING, id, waiting.encoded(), waiting.expires)
        return f"{self._issuer}/auth/sign-in?request={id}"

    def place(self, asked: Asked) -> tuple[Client, str]:
        """The client, and where its answers go: both sure, or WrongPlaceError."""
        fields = asked.payload
        asked.claimed_client = (fields.client_id or "")[:255]
        if any(len(fields.datalist.get(name, [])) > 1 for name in ("client_id", "redirect_uri")):
            raise WrongPlaceError
        client = self._server.query_client(fields.client_id or "")
        redirect_uri = fields.redirect_uri or ""
        if client is None or not client.check_redirect_uri(redirect_uri):
            raise WrongPlaceError
        return client, redirect_uri

    def _understood(self, asked: Asked, client: Client) -> Waiting:
        asked.payload.require_unrepeated()
        if asked.payload.response_type != "code":
            raise UnsupportedResponseTypeError("code")
        if asked.payload.data.keys() & _NOT_TAKEN or asked.payload.data.get("response_mode", "query") != "query":
            raise InvalidRequestError("Request objects and other response modes than query are not supported.")
        if any(len(value) > _LONGEST for value in asked.payload.data.values()):
            raise InvalidRequestError(f"A parameter is longer than {_LONGEST} characters.")
        # authlib: response type, client, redirect URI, scope; and our PKCE beside it.
        self._server.get_consent_grant(asked)
        self._require_audience(asked.payload.data)
        _require_sense(asked.payload.data)
        launched = self._launched(asked, client)
        scopes = tuple(scope for scope in asked.scope.split() if scope != "launch" or launched)
        return Waiting(tuple(asked.payload.data.items()), scopes, launched, asked.now + PATIENCE)

    def _require_audience(self, fields: Mapping[str, str]) -> None:
        """`aud` names this FHIR base, with or without a final slash; `resource` means the same (R-SMART-015, -016)."""
        stated = [fields[name] for name in ("aud", "resource") if name in fields]
        if not stated or any(one not in {self._base, f"{self._base}/"} for one in stated):
            raise InvalidRequestError("aud must be the FHIR base URL of this server.")

    def _launched(self, asked: Asked, client: Client) -> Launch | None:
        """The EHR launch that it continues; only looked at here, taken up when a person has agreed."""
        opens = asked.payload.data.get("launch")
        if opens is None:
            return None
        if "launch" not in asked.scope.split():
            raise InvalidRequestError("The launch parameter goes with the scope launch.")
        content = self._handles.peek(launches.HANDLE, opens, asked.now)
        launched = launches.decoded(content) if content else None
        if launched is None or launched.client_id != client.client_id:
            raise InvalidRequestError("The launch is unknown, used, expired, or for another app.")
        return launched


def _require_sense(fields: Mapping[str, str]) -> None:
    prompts = fields.get("prompt", "").split()
    if not set(prompts) <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise InvalidRequestError("prompt is none, or some of login, consent, select_account.")
    max_age = fields.get("max_age", "0")
    if not (max_age.isascii() and max_age.isdigit() and len(max_age) <= _MOST_DIGITS):
        raise InvalidRequestError("max_age is a number of seconds.")
