"""Random texts that open something (a code, a refresh token, a client's secret), and the hash under which each is kept.

RFC 6749 section 10.10: not to be guessed. With 256 random bits a plain hash is as good as a slow one, and cannot be
used to keep the server busy.
"""

import hashlib
import secrets

_BYTES = 32
MOST_TEXT = 512
"""A longer text is none of ours and is not even hashed."""


def new_secret() -> str:
    return secrets.token_urlsafe(_BYTES)


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def matches(hash: bytes, secret: str) -> bool:
    return len(secret) <= MOST_TEXT and secrets.compare_digest(hash, hashed(secret))
