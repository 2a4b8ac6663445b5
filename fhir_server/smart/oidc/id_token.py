"""The id token: who signed in, when and how, told to the app and to nobody else.

OpenID Connect Core 1.0 sections 2 and 3.1.3.6; SMART App Launch 2.2 "fhirUser". R-SMART-067 to -071.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from joserfc import jwt

from fhir_server.kernel.json import Json
from fhir_server.smart.grant import Grant
from fhir_server.smart.oidc.signing_keys import ALGORITHM, SigningKeys

LIFETIME = timedelta(minutes=10)
_SEVERAL = 2

TWO_FACTORS = "urn:aesthetic-fhir-server:acr:two-factors"
ONE_FACTOR = "urn:aesthetic-fhir-server:acr:one-factor"


class IdTokens:
    def __init__(self, keys: SigningKeys, issuer: str, base: str) -> None:
        self._keys, self._issuer, self._base = keys, issuer, base

    def issue(self, grant: Grant, scopes: Sequence[str], access_token: str, now: datetime) -> str:
        key = self._keys.signing(now)
        told = {
            "iss": self._issuer,
            "sub": grant.subject,
            "aud": grant.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "nonce": grant.code.nonce if grant.code else None,
            "auth_time": int(grant.signed_in.timestamp()) if grant.signed_in else None,
            "amr": list(grant.methods),
            "acr": acr(grant.methods),
            "at_hash": _half_hash(access_token),
            **self.person(grant.subject, grant.name, grant.fhir_user, scopes),
        }
        claims = {name: value for name, value in told.items() if value}
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key.key, algorithms=[ALGORITHM])

    def person(self, subject: str, name: str | None, fhir_user: str | None, scopes: Sequence[str]) -> Json:
        """What these scopes tell of a person; also what the userinfo endpoint answers."""
        told: Json = {"sub": subject}
        if "fhirUser" in scopes and fhir_user:
            # Absolute: it has to resolve from wherever the app is.
            told["fhirUser"] = f"{self._base}/{fhir_user}"
        if "profile" in scopes and name:
            told["name"] = name
        return told


def acr(methods: Sequence[str]) -> str | None:
    """By how many factors; None where it is not known how somebody signed in."""
    if not methods:
        return None
    return TWO_FACTORS if "mfa" in methods or len(set(methods)) >= _SEVERAL else ONE_FACTOR


def _half_hash(token: str) -> str:
    """OpenID Connect Core 3.1.3.6, for SHA-256."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()
