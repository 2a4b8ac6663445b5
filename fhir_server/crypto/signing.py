"""Ed25519 signatures of receipts and checkpoints, which anyone can check who has the public key.

RFC 8032.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.keys import KEY_BYTES

SIGNATURE_BYTES = 64


class Signer:
    """A private key, made from any 32 secret bytes (a named key of the key ring)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError("An Ed25519 private key has 32 bytes.")
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Returns when the signature is good. Raises SignatureError when it is not, or when `public` is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureError("The signature does not belong to these bytes and this key.") from None


def public_pem(public: bytes) -> bytes:
    """The public key as tools such as openssl read it (RFC 8410)."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
