"""A client's public keys: which of a JWK Set can be used, and which one a signature is checked with.

RFC 7517; SMART App Launch 2.2 "Asymmetric (public key) client authentication". R-SMART-082: by kid and kind of key,
exactly one is left, or none is used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_server.kernel.json import Json

ALGORITHMS = {"RS384": "RSA", "ES384": "EC"}
"""What clients may sign with, and the kind of key of each. Never a symmetric one: it invites key confusion."""

MOST_KEYS = 20
_LEAST_BITS, _MOST_BITS = 2048, 8192
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class PrivateKeyError(ValueError):
    """The set holds what its owner should keep."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    kid: str
    alg: str
    key: RSAKey | ECKey


def public_keys(jwks: object) -> tuple[PublicKey, ...]:
    """Those that are good for one of ALGORITHMS; others are left out, as a set may serve several purposes.

    Raises PrivateKeyError where a key is no public one.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list):
        return ()
    found = [one for each in keys[:MOST_KEYS] if isinstance(each, dict) and (one := _usable(each))]
    return tuple(found)


def choose(keys: Iterable[PublicKey], kid: str, alg: str) -> PublicKey | None:
    fitting = [key for key in keys if key.kid == kid and key.alg == alg]
    return fitting[0] if len(fitting) == 1 else None


def _usable(jwk: Json) -> PublicKey | None:
    if _PRIVATE & jwk.keys():
        raise PrivateKeyError("A JWK Set for registration holds public keys only.")
    kid, kty = jwk.get("kid"), jwk.get("kty")
    alg = next((alg for alg, of in ALGORITHMS.items() if of == kty), None)
    if (
        alg is None
        or not isinstance(kid, str)
        or not kid
        or jwk.get("alg", alg) != alg
        or jwk.get("use", "sig") != "sig"
    ):
        return None
    try:
        key = ECKey.import_key(jwk) if kty == "EC" else RSAKey.import_key(jwk)
        bits = key.public_key.key_size
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    strong = jwk.get("crv") == "P-384" if isinstance(key, ECKey) else _LEAST_BITS <= bits <= _MOST_BITS
    return PublicKey(kid, alg, key) if strong else None
