"""Proves to the server who this runtime is, and keeps the token until shortly before its end.

SMART App Launch 2.2 "Backend Services"; RFC 7523. The key never leaves this process; each statement is good once.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from httpx2 import AsyncClient
from joserfc import jwt
from joserfc.jwk import import_key

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object
from mappers.runtime.bounded import asked
from mappers.runtime.clock import Clock
from mappers.runtime.faults import NotNowError, SetupError

_KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = 240
_EARLY = timedelta(seconds=30)
_MOST_BYTES = 65_536
_OK = 200
_FAULTS_OF_SERVER = 500


@dataclass(slots=True)
class BackendServices:
    """`base`: the FHIR server's base URL. `key`: a private JWK with `kid` and `alg`.

    `hosts`: where its token endpoint may lie; None where the server is the clinic's own and is believed.
    """

    http: AsyncClient
    base: str
    client_id: str
    scope: str
    key: Json = field(repr=False)
    clock: Clock
    hosts: frozenset[str] | None = None
    _token: str = field(default="", init=False, repr=False)
    _until: datetime | None = field(default=None, init=False)
    _endpoint: str = field(default="", init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def token(self) -> str:
        async with self._asking:
            if self._until is None or self.clock() >= self._until - _EARLY:
                await self._renew()
            return self._token

    def forget(self) -> None:
        """The server did not take it."""
        self._until = None

    async def _renew(self) -> None:
        endpoint = self._endpoint or await self._discovered()
        asked = {
            "grant_type": "client_credentials",
            "scope": self.scope,
            "client_assertion_type": _KIND,
            "client_assertion": self._assertion(endpoint),
        }
        status, said = await self._json("POST", endpoint, asked)
        if status != _OK:
            raise SetupError(f"The server gives no token: {str(said.get('error', status))[:100]}.")
        self._token = str(said["access_token"])
        self._until = self.clock() + timedelta(seconds=int(said.get("expires_in", 60)))
        self._endpoint = endpoint

    async def _discovered(self) -> str:
        status, said = await self._json("GET", f"{self.base}/.well-known/smart-configuration", None)
        endpoint = said.get("token_endpoint")
        if status != _OK or not isinstance(endpoint, str):
            raise SetupError("The server names no token endpoint.")
        if self.hosts is not None and not self._is_among(endpoint):
            raise SetupError("The server's token endpoint is not where one was expected.")
        return endpoint

    def _is_among(self, endpoint: str) -> bool:
        """A statement is signed for the server that was meant, and for nobody whom it names."""
        found, base = urlsplit(endpoint), urlsplit(self.base)
        return found.scheme == base.scheme and found.netloc in (self.hosts or ()) and not found.fragment

    def _assertion(self, endpoint: str) -> str:
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint,
            "exp": int(self.clock().timestamp()) + _LIFETIME,
            "jti": secrets.token_hex(16),
        }
        header = {"alg": self.key["alg"], "kid": self.key["kid"], "typ": "JWT"}
        return jwt.encode(header, claims, import_key(self.key), algorithms=[self.key["alg"]])

    async def _json(self, method: str, url: str, form: dict[str, str] | None) -> tuple[int, Json]:
        headers = {"Accept": "application/json"}
        try:
            answer = await asked(self.http, method, url, headers, most_bytes=_MOST_BYTES, form=form)
        except NotNowError:
            raise NotNowError("The server's token endpoint cannot be reached.") from None
        if answer.status >= _FAULTS_OF_SERVER:
            raise NotNowError("The server's token endpoint is not able to answer.")
        try:
            return answer.status, decode_object(answer.body, _MOST_BYTES)
        except UnusableError:
            raise SetupError("The server's token endpoint does not answer in JSON.") from None
