"""One key encrypted under another, bound to what it is for.

AES-256-GCM (NIST SP 800-38D) with a random nonce below the root. A root key provider may know nothing but key wrap, so
under the root the binding goes in beside the key, as a hash that is compared when it comes out.
"""

import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import KEY_BYTES
from fhir_server.crypto.providers.port import RootKeyProvider, Wrapped

_NONCE_BYTES = 12


def wrap(outer: bytes, secret: bytes, binding: bytes, new_bytes: Callable[[int], bytes]) -> bytes:
    nonce = new_bytes(_NONCE_BYTES)
    return nonce + AESGCM(outer).encrypt(nonce, secret, binding)


def unwrap(outer: bytes, blob: bytes, binding: bytes) -> bytes:
    """Raises OpeningError."""
    try:
        return AESGCM(outer).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], binding)
    except (InvalidTag, ValueError):
        raise OpeningError("A wrapped key does not open where it stands.") from None


async def wrap_by_root(provider: RootKeyProvider, secret: bytes, binding: bytes) -> Wrapped:
    return await provider.wrap(hashlib.sha256(binding).digest() + secret)


async def unwrap_by_root(provider: RootKeyProvider, wrapped: Wrapped, binding: bytes) -> bytes:
    """Raises OpeningError when the key is another row's, ProviderError when the root does not open it."""
    opened = await provider.unwrap(wrapped)
    stated, secret = opened[:-KEY_BYTES], opened[-KEY_BYTES:]
    if not hmac.compare_digest(stated, hashlib.sha256(binding).digest()):
        raise OpeningError("A key wrapped by the root does not belong where it stands.")
    return secret
