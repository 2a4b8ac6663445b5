"""Passwords: hashed with argon2id beside the event loop, and never told apart from the absence of one.

RFC 9106; NIST SP 800-63B-4 section 3.1.1.
"""

import asyncio
import base64
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fhir_server.crypto.randomness import RandomBytes
from fhir_server.kernel.errors import UnavailableError

MOST_CHARACTERS = 256
_AT_ONCE = 2
_MOST_WAITING = 64
_LANES = 4
_SALT_BYTES, _HASH_BYTES = 16, 32

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Effort:
    """argon2's parameters. `memory` in KiB; RFC 9106 section 4 recommends these where memory is scarce."""

    memory: int = 65_536
    passes: int = 3


class Passwords:
    """Hashes and verifies, a few at a time: each takes its memory."""

    def __init__(self, effort: Effort, new_bytes: Callable[[int], bytes] | None = None) -> None:
        new_bytes = new_bytes or RandomBytes()
        self._hasher = PasswordHasher(effort.passes, effort.memory, _LANES, _HASH_BYTES, _SALT_BYTES)
        salt, digest = (base64.b64encode(new_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _HASH_BYTES))
        self._nobody = f"$argon2id$v=19$m={effort.memory},t={effort.passes},p={_LANES}${salt}${digest}"
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._beside(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, hash: str | None, password: str) -> bool:
        """Without a hash, or with a password that none can be, it takes as long and is False."""
        possible = 0 < len(password) <= MOST_CHARACTERS
        typed = _normal(password) if possible else ""
        same = await self._beside(lambda: self._same(hash or self._nobody, typed))
        return same and possible and hash is not None

    def outdated(self, hash: str) -> bool:
        """Was it made with other parameters than today's?"""
        return self._hasher.check_needs_rehash(hash)

    def _same(self, hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _beside(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("Too many people sign in at once.")
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """NFKC, as NIST asks for; a lone surrogate, which argon2 cannot take, becomes a question mark."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
