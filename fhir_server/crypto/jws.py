"""Signed receipts as compact JWS.

RFC 7515, with the algorithm named `Ed25519` (RFC 9864, which replaces the ambiguous `EdDSA`).
"""

import base64

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from fhir_server.crypto.errors import SignatureError

ALGORITHM = "Ed25519"
_MOST_TEXT = 1 << 20


def sign_jws(payload: bytes, secret: bytes, public: bytes, key_name: str, media_type: str) -> str:
    """`key_name` becomes `kid`, `media_type` becomes `typ`."""
    key = OKPKey.import_key({**public_jwk(public, key_name), "d": _base64url(secret)})
    header = {"alg": ALGORITHM, "kid": key_name, "typ": media_type}
    return jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])


def verify_jws(text: str, public: bytes, media_type: str) -> bytes:
    """The payload. Raises SignatureError for another key, algorithm or type, and for what is no JWS."""
    if len(text) > _MOST_TEXT:
        raise SignatureError("The signed text is too long.")
    try:
        key = OKPKey.import_key(public_jwk(public, ""))
        found = jws.deserialize_compact(text, key, algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError):
        raise SignatureError("The signature does not belong to this text and this key.") from None
    if found.headers().get("typ") != media_type:
        raise SignatureError("The signed text is of another type.")
    return found.payload


def stated_payload(text: str) -> bytes:
    """What a JWS says, unverified: only to find out whose key would verify it. Raises SignatureError for no JWS."""
    try:
        body = text.split(".")[1]
        return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (IndexError, ValueError):
        raise SignatureError("That is no signed text.") from None


def public_jwk(public: bytes, key_name: str) -> dict[str, str | list[str]]:
    """The public key as JSON (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public), "kid": key_name, "use": "sig", "alg": ALGORITHM}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
