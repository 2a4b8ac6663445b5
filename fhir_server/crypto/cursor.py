"""Page links: opaque, bound to who searched, and short-lived.

A link must not outlive what it leads to (GDPR Art. 17), nor tell or let anyone choose where the next page starts.
AES-256-GCM; the text is `base64url(nonce | ciphertext | tag)` without padding characters (RFC 4648, section 5), over
`expiry (8) | length (2) | payload | zeros`.
"""

import base64
import secrets
import struct
from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto.framing import frame
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.errors import InvalidRequestError, TooLargeError

MOST_PAYLOAD = 20_480
_NONCE_BYTES = 12
_BUCKET = 128
_FRONT = struct.Struct(">qH")
_MOST_TEXT = 28_000


def seal_cursor(
    key: bytes,
    payload: bytes,
    bound_to: bytes,
    expires: datetime,
    *,
    new_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """`bound_to` names the caller and whatever else must be the same when the link is followed."""
    if len(payload) > MOST_PAYLOAD:
        raise TooLargeError("The search is too long for a page link.")
    plain = _FRONT.pack(microseconds(expires), len(payload)) + payload
    padded = plain.ljust(-(-len(plain) // _BUCKET) * _BUCKET, b"\0")
    nonce = new_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, padded, _bound(bound_to))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_cursor(key: bytes, text: str, bound_to: bytes, now: datetime) -> bytes:
    """The payload. Raises one and the same InvalidRequestError for a forged, foreign or expired link."""
    try:
        sealed = _decoded(text)
        plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(bound_to))
    except (InvalidTag, ValueError):
        raise _refusal() from None
    expires, size = _FRONT.unpack_from(plain)
    if microseconds(now) >= expires:
        raise _refusal()
    return plain[_FRONT.size : _FRONT.size + size]


def _bound(bound_to: bytes) -> bytes:
    return frame([b"page link", bound_to])


def _decoded(text: str) -> bytes:
    """Only the one spelling that `seal_cursor` writes: the library would skip foreign characters and spare bits."""
    if len(text) > _MOST_TEXT:
        raise ValueError
    raw = text.encode("ascii")
    sealed = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    if base64.urlsafe_b64encode(sealed).rstrip(b"=") != raw:
        raise ValueError
    return sealed


def _refusal() -> InvalidRequestError:
    return InvalidRequestError("The page link is not valid, or no longer: search again.")
