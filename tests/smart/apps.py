"""The other side: clients that speak OAuth to the clinic, and the person who signs in, played by the sign-in pages."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

from httpx2 import Response
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.approval import Approval
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from fhir_server.smart.opaque import hashed
from tests.clinics import InProcess, read

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"
SECRET = "s3cret:with spaces & signs %+"
KEYS = {alg: new_private_jwk(alg) for alg in ("RS384", "ES384")}
PRIVATE: dict[str, RSAKey | ECKey] = {
    "RS384": RSAKey.import_key(KEYS["RS384"]),
    "ES384": ECKey.import_key(KEYS["ES384"]),
}
CALLBACK = "https://app.example/callback?kept=1"

_SIGN_IN = ("openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter")
_PERSON = (*_SIGN_IN, "offline_access", "online_access", "patient/*.cruds", "user/*.cruds")
_NATIVE = (CALLBACK, "http://127.0.0.1/native")
NATIVE = Client("native", Kind.PUBLIC, "Native app", _PERSON, _NATIVE, ("TREAT", "HPAYMT"))
WEB = Client("web", Kind.SYMMETRIC, "Web app", _PERSON, (CALLBACK,), secret=hashed(SECRET))
SIGNING = Client("signing", Kind.ASYMMETRIC, "Signing app", _PERSON, (CALLBACK,), jwks=public_set(KEYS["ES384"]))
SERVICE = Client(
    "service",
    Kind.BACKEND,
    "Service",
    ("system/*.cruds", "system/AuditEvent.rs"),
    purposes=("TREAT", "HOPERAT"),
    jwks={"keys": [key for private in KEYS.values() for key in public_set(private)["keys"]]},
)
READER = Client("reader", Kind.BACKEND, "Reader", ("system/*.rs",), jwks=public_set(KEYS["RS384"]))
EHR = Client("ehr", Kind.BACKEND, "EHR", ("system/*.rs", "ehr/launch", "introspect"), jwks=public_set(KEYS["RS384"]))
ALL = (NATIVE, WEB, SIGNING, SERVICE, READER, EHR)

NURSE = Approval(
    "user-nora",
    "nora",
    "Nora Nurse",
    "nurse",
    "Practitioner/nora",
    (),
    None,
    None,
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    ("pwd", "otp", "mfa"),
    "session-1",
)
"""Who signs in; scopes are what was asked for unless a test says otherwise."""


def register_all(clinic: InProcess) -> None:
    for client in ALL:
        there = clinic.clinic.store.clients.get(client.client_id)
        assert clinic.clinic.store.clients.save(replace(client, revision=there.revision + 1 if there else 1))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(slots=True)
class Pkce:
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        return b64(hashlib.sha256(self.verifier.encode()).digest())


@dataclass(frozen=True, slots=True)
class App:
    """A client, and the server that it speaks to."""

    clinic: InProcess
    client: Client

    @property
    def issuer(self) -> str:
        return self.clinic.clinic.settings.base_url

    @property
    def base(self) -> str:
        return self.clinic.base

    def request(self, pkce: Pkce, scope: str, /, **changed: str | None) -> dict[str, str]:
        """The parameters of an authorization request; None leaves one out."""
        usual: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uris[0],
            "scope": scope,
            "state": "a state",
            "aud": self.base,
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    async def authorize(self, asked: Mapping[str, str], method: str = "GET") -> Response:
        if method == "GET":
            return await self.clinic.http.get("/auth/authorize", params=dict(asked))
        return await self.clinic.http.post("/auth/authorize", data=dict(asked))

    async def waiting(self, asked: Mapping[str, str]) -> str:
        """The id of the request, as the sign-in pages get it."""
        answer = await self.authorize(asked)
        assert answer.status_code == 303, answer.text
        place = urlsplit(answer.headers["location"])
        assert place.path == "/auth/sign-in", answer.headers["location"]
        return dict(parse_qsl(place.query))["request"]

    async def approved(self, id: str, **changed: Any) -> dict[str, str]:
        """What comes back to the app when the person agrees."""
        pending = await self.clinic.clinic.gateway.authorization.pending(id)
        assert pending is not None
        approval = replace(NURSE, **{"scopes": pending.scopes, **changed})
        return answered(await self.clinic.clinic.gateway.authorization.approve(id, approval))

    async def code(self, scope: str, pkce: Pkce, request: Mapping[str, str | None] | None = None, **said: Any) -> str:
        id = await self.waiting(self.request(pkce, scope, **(request or {})))
        return (await self.approved(id, **said))["code"]

    async def tokens(self, scope: str, request: Mapping[str, str | None] | None = None, **said: Any) -> Json:
        """The whole way: request, sign-in, code, tokens."""
        pkce = Pkce()
        answer = await self.redeem(await self.code(scope, pkce, request, **said), pkce)
        assert answer.status_code == 200, answer.text
        found: Json = read(answer)
        return found

    async def redeem(self, code: str | None, pkce: Pkce, **changed: str | None) -> Response:
        usual = {"grant_type": "authorization_code", "code": code, "code_verifier": pkce.verifier}
        return await self.post("/auth/token", **{**usual, "redirect_uri": self.client.redirect_uris[0], **changed})

    async def refresh(self, token: str, **more: str | None) -> Response:
        return await self.post("/auth/token", **{"grant_type": "refresh_token", "refresh_token": token, **more})

    async def credentials(self, scope: str | None, **more: str | None) -> Response:
        return await self.post("/auth/token", **{"grant_type": "client_credentials", "scope": scope, **more})

    async def post(self, path: str, /, **fields: str | None) -> Response:
        """A form, with the credentials of its kind beside; a field that is None is left out."""
        proof, headers = self.proof()
        sent = {name: value for name, value in {**proof, **fields}.items() if value is not None}
        return await self.clinic.http.post(path, data=sent, headers=headers)

    def proof(self) -> tuple[dict[str, str], dict[str, str]]:
        """Fields of the form, and headers."""
        if self.client.kind is Kind.PUBLIC:
            return {"client_id": self.client.client_id}, {}
        if self.client.kind is Kind.SYMMETRIC:
            return {}, {"Authorization": basic(self.client.client_id, SECRET)}
        return {"client_assertion_type": ASSERTION, "client_assertion": self.assertion()}, {}

    @property
    def alg(self) -> str:
        assert self.client.jwks is not None
        return str(self.client.jwks["keys"][0]["alg"])

    def assertion(
        self, header: Mapping[str, Any] | None = None, key: RSAKey | ECKey | None = None, **claims: Any
    ) -> str:
        """A good one, unless a header or a claim is given otherwise; `...` leaves one out."""
        alg = (header or {}).get("alg", self.alg)
        private = KEYS.get(alg, KEYS["RS384"])
        own = PRIVATE.get(alg, PRIVATE["RS384"])
        now = int(time.time())
        said = {
            "iss": self.client.client_id,
            "sub": self.client.client_id,
            "aud": f"{self.issuer}/auth/token",
            "exp": now + 300,
            "jti": secrets.token_hex(16),
            **claims,
        }
        head = {"alg": alg, "kid": private["kid"], "typ": "JWT", **(header or {})}
        return signed(
            {name: value for name, value in head.items() if value is not ...},
            json.encode({name: value for name, value in said.items() if value is not ...}),
            key or own,
        )


def signed(header: Mapping[str, Any], payload: bytes, key: RSAKey | ECKey) -> str:
    return jws.serialize_compact(dict(header), payload, key, registry=_Lax(algorithms=[str(header["alg"])]))


class _Lax(jws.JWSRegistry):
    """A test signs what nobody should."""

    def check_header(self, header: object) -> None:
        """Whatever it says."""


def basic(client_id: str, secret: str) -> str:
    both = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(both.encode()).decode()}"


def answered(address: str) -> dict[str, str]:
    """The parameters that the app finds in the address to which the browser is sent back."""
    assert address.startswith(("https://app.example/callback?kept=1&", "http://127.0.0.1")), address
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


def parts(token: str) -> tuple[Json, Json]:
    """Header and claims of a JWT, believed."""
    header, payload, _ = token.split(".")
    return unb64(header), unb64(payload)


def unb64(part: str) -> Json:
    found: Json = json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
