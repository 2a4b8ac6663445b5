"""DPoP proofs: who uses a token, or asks for one, shows that they hold the key that it is bound to.

RFC 9449 sections 4.2, 4.3 and 7.1; RFC 7638 (a key's thumbprint). That a proof comes once is for the caller to see to.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError, UnauthenticatedError

ALGORITHMS = {"ES256": "P-256", "ES384": "P-384"}
"""What phones keep in their hardware, and the curve of each."""

_LONGEST, _LONGEST_JTI = 4_096, 255
_BEHIND, _AHEAD = 60, 10
_REMEMBERED = _BEHIND + _AHEAD
"""Seconds."""

_MEMBERS = frozenset({"kty", "crv", "x", "y", "kid", "use", "alg", "key_ops"})


class _Registry(jws.JWSRegistry):
    max_header_length = 2_048


_REGISTRY = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """`thumbprint` names the key. Until `ends` the same `jti` is the same proof again."""

    thumbprint: str
    jti: str
    ends: datetime


def proof_of(text: str, method: str, url: str, now: datetime, token: str | None = None) -> Proof:
    """Raises UnauthenticatedError. `url` has neither query nor fragment; with `token` the proof is of its use."""
    header, claims = _read(text)
    # 1. A proof, by one of our algorithms, with a public key of that curve.
    key = _key(header)
    # 2. The signature.
    try:
        jwt.decode(text, key, algorithms=[str(header["alg"])], registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        raise _refused("its signature is not that of its key") from None
    # 3. Of this request.
    if claims.get("htm") != method or claims.get("htu") != url:
        raise _refused("it is of another method or address")
    # 4. Of this token.
    if token is not None and not _same(claims.get("ath"), _text(hashlib.sha256(token.encode()).digest())):
        raise _refused("it is of another token")
    # 5. Made now, and told from others.
    made, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(made, int | Decimal) or not -_BEHIND <= made - int(now.timestamp()) <= _AHEAD:
        raise _refused("it is not of this minute")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise _refused("it has no jti")
    return Proof(key.thumbprint(), jti, datetime.fromtimestamp(int(made) + _REMEMBERED, now.tzinfo))


def _read(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if len(text) > _LONGEST:
        raise _refused("it is too long")
    try:
        found = jws.extract_compact(text.encode("ascii"), registry=_REGISTRY)
        header, claims = found.headers(), json.decode(found.payload)
    except (JoseError, FhirError, ValueError, TypeError, KeyError):
        raise _refused("it is no JWT") from None
    if not isinstance(claims, dict):
        raise _refused("it is no JWT")
    return header, claims


def _key(header: Mapping[str, Any]) -> ECKey:
    alg, jwk = header.get("alg"), header.get("jwk")
    if header.get("typ") != "dpop+jwt" or alg not in ALGORITHMS or not isinstance(jwk, dict):
        raise _refused(f"it is a JWT of type dpop+jwt, by {' or '.join(ALGORITHMS)}, with its public key")
    if not jwk.keys() <= _MEMBERS or jwk.get("kty") != "EC" or jwk.get("crv") != ALGORITHMS[alg]:
        raise _refused("its key is no public key of that algorithm")
    try:
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    except (JoseError, ValueError, TypeError, KeyError):
        raise _refused("its key is no public key of that algorithm") from None


def _same(said: object, expected: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "replace"), expected.encode())


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"The DPoP proof is not valid: {why}.")
