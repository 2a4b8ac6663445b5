"""A new key pair for a client that signs; the private half is the client's to keep, this server never sees it again.

RFC 7517; SMART App Launch 2.2 asks for RS384 or ES384.
"""

from joserfc.jwk import ECKey, RSAKey

from fhir_server.kernel.json import Json

_RSA_BITS = 3072
_PUBLIC = ("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y")


def new_private_jwk(alg: str) -> Json:
    """With `kid` (RFC 7638) and `alg`."""
    key: RSAKey | ECKey = RSAKey.generate_key(_RSA_BITS) if alg == "RS384" else ECKey.generate_key("P-384")
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": alg, "use": "sig"}


def public_set(private: Json) -> Json:
    """The JWK Set to register."""
    return {"keys": [{name: private[name] for name in _PUBLIC if name in private}]}
