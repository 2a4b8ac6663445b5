"""What ties a form, or a passkey's challenge, to one browser: keyed digests, so that nothing has to be stored.

OWASP's signed double submit: the digest is of a cookie that no other site can read or set. RFC 2104.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from fhir_server.crypto.framing import frame

_NONCE_BYTES, _TIME_BYTES = 16, 8
_LIFETIME = timedelta(minutes=5)


def digest(secret: str) -> bytes:
    """As what a random secret is stored: it has 256 bits, so nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class Binding:
    def __init__(self, key: bytes, new_bytes: Callable[[int], bytes]) -> None:
        self._key, self._new_bytes = key, new_bytes

    def form(self, browser: str) -> str:
        """The token that each form of this browser carries."""
        return base64.urlsafe_b64encode(self._mac(b"form", browser.encode("utf-8", "replace"))).rstrip(b"=").decode()

    def is_form(self, token: str, browser: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.form(browser).encode())

    def challenge(self, purpose: str, browser: str, now: datetime) -> bytes:
        """For a passkey to sign: good for five minutes, for this browser and purpose."""
        front = self._new_bytes(_NONCE_BYTES) + int((now + _LIFETIME).timestamp()).to_bytes(_TIME_BYTES)
        return front + self._of(front, purpose, browser)

    def is_challenge(self, challenge: bytes, purpose: str, browser: str, now: datetime) -> bool:
        """That it was not used before is for the caller to find out."""
        front, mac = challenge[: _NONCE_BYTES + _TIME_BYTES], challenge[_NONCE_BYTES + _TIME_BYTES :]
        if not hmac.compare_digest(mac, self._of(front, purpose, browser)):
            return False
        return int.from_bytes(front[_NONCE_BYTES:]) > int(now.timestamp())

    def _of(self, front: bytes, purpose: str, browser: str) -> bytes:
        return self._mac(b"challenge", front, purpose.encode(), browser.encode("utf-8", "replace"))

    def _mac(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, frame(list(parts)), "sha256")
