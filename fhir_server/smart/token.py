"""Access tokens: signed, short-lived statements of who holds them and what for.

RFC 9068 (JWT profile for access tokens), RFC 8037 (EdDSA).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from fhir_server.crypto.signing import Signer
from fhir_server.engine.call import Principal
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.kernel.identity import NewId

_ALGORITHM = "Ed25519"
_LONGEST_TOKEN = 8_192
_SKEW = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token will say. `audience` is the FHIR base."""

    subject: str
    client_id: str
    scopes: tuple[str, ...]
    lifetime: timedelta
    patient: str | None = None
    fhir_user: str | None = None
    role: str | None = None
    purposes: tuple[str, ...] = ()


class Tokens:
    """Issues and verifies for one issuer and one FHIR base."""

    def __init__(self, secret: bytes, issuer: str, audience: str, new_id: NewId) -> None:
        public = Signer(secret).public
        self._key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _b64(public), "d": _b64(secret)})
        self._kid = self._key.thumbprint()
        self._issuer, self._audience, self._new_id = issuer, audience, new_id

    def issue(self, claims: Claims, now: datetime) -> tuple[str, str]:
        """The token, and its jti."""
        jti = self._new_id()
        payload: dict[str, Any] = {
            "iss": self._issuer,
            "sub": claims.subject,
            "client_id": claims.client_id,
            "aud": self._audience,
            "iat": int(now.timestamp()),
            "exp": int((now + claims.lifetime).timestamp()),
            "jti": jti,
            "scope": " ".join(claims.scopes),
        }
        if claims.patient:
            payload["patient"] = claims.patient
        if claims.fhir_user:
            payload["fhirUser"] = claims.fhir_user
        if claims.role:
            payload["role"] = claims.role
        if claims.purposes:
            payload["purposes"] = claims.purposes
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": self._kid}
        return jwt.encode(header, payload, self._key, algorithms=[_ALGORITHM]), jti

    def verify(self, token: str, now: datetime) -> tuple[Principal, datetime]:
        """Whose it is, and when it expires. Raises UnauthenticatedError without saying which check failed."""
        if len(token) > _LONGEST_TOKEN:
            raise _refused()
        try:
            # 1. The signature, by the one algorithm that we sign with: no other is even tried.
            found = jwt.decode(token, self._key, algorithms=[_ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError):
            raise _refused() from None
        claims = found.claims
        # 2. A token of ours for something else (an id token, a receipt) is no access token.
        if found.header.get("typ") != "at+jwt" or found.header.get("kid") != self._kid:
            raise _refused()
        # 3. From this issuer, for this FHIR base.
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise _refused()
        # 4. Now.
        expires = _instant(claims, "exp", now)
        if expires <= now or _instant(claims, "iat", now) > now + _SKEW:
            raise _refused()
        return _principal(claims), expires


def _principal(claims: Mapping[str, Any]) -> Principal:
    try:
        return Principal(
            subject=str(claims["sub"]),
            client_id=str(claims["client_id"]),
            issuer=str(claims["iss"]),
            token_id=str(claims["jti"]),
            scopes=tuple(str(claims["scope"]).split()),
            patient=claims.get("patient"),
            fhir_user=claims.get("fhirUser"),
            role=claims.get("role"),
            purposes=tuple(claims.get("purposes", ())),
        )
    except KeyError:
        raise _refused() from None


def _instant(claims: Mapping[str, Any], name: str, now: datetime) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused()
    try:
        return datetime.fromtimestamp(value, now.tzinfo)
    except (OverflowError, ValueError, OSError):
        raise _refused() from None


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("The bearer token is not valid, not for this server, or expired.")
