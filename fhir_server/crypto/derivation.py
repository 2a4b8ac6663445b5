"""A further key out of a key, for one named purpose.

RFC 5869 (HKDF with SHA-256).
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import KEY_BYTES


def derive(secret: bytes, purpose: str, *context: bytes, salt: bytes = b"") -> bytes:
    """32 bytes that say nothing about `secret` nor about what is derived for another purpose, context or salt."""
    return HKDF(SHA256(), KEY_BYTES, salt, frame([purpose.encode(), *context])).derive(secret)
