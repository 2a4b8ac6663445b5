"""HMAC-SHA256 over what came, compared in constant time; and how old a signed message may be.

RFC 2104. A secret is never empty: a missing setting must not be the key.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from mappers.mapping.faults import RefusedError

_FEWEST_SECRET_BYTES = 16
WORD_HEADER = "x-webhook-secret"


def mac(secret: str, signed: bytes) -> bytes:
    refuse_weak(secret)
    return hmac.new(secret.encode(), signed, sha256).digest()


def refuse_weak(secret: str) -> None:
    if len(secret.encode()) < _FEWEST_SECRET_BYTES:
        raise RefusedError("No secret is set, or one that can be guessed.")


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def refuse_old(sent: datetime, now: datetime, window: timedelta) -> None:
    """Neither from long ago nor from a future beyond what clocks differ by."""
    if not -window <= now - sent <= window:
        raise RefusedError("The message is older than the replay window, or from the future.")


def refuse_without_word(headers: Mapping[str, str], raw: bytes, secret: str, now: datetime) -> None:
    """For a vendor that does not sign: a header with a word that was agreed on.

    Whoever saw it once can send it again; so what it brings is a hint to look, and never believed.
    """
    refuse_weak(secret)
    if not same(headers.get(WORD_HEADER, ""), secret):
        raise RefusedError("The secret is missing or wrong.")
