"""Recovery codes: ten, each good once, shown once; only their hashes are kept.

NIST SP 800-63B-4 section 3.1.2 (look-up secrets): fewer than 112 bits, so salted and hashed like a password.
"""

import asyncio
import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import replace

from argon2.low_level import Type, hash_secret_raw

from fhir_server.smart.signin.passwords import Effort
from fhir_server.smart.signin.users import RecoveryCodes

COUNT = 10
_CODE_BYTES, _SALT_BYTES, _HASH_BYTES = 10, 16, 32
_GROUP = 4
_LETTERS = re.compile(r"[a-z2-7]{16}", re.ASCII)
_LANES = 4


class Recovery:
    """Codes of 80 random bits. One hash is made per attempt, whatever number of codes is left."""

    def __init__(self, effort: Effort, new_bytes: Callable[[int], bytes]) -> None:
        self._effort, self._new_bytes = effort, new_bytes

    async def fresh(self) -> tuple[tuple[str, ...], RecoveryCodes]:
        """The codes to show, and what is kept of them."""
        codes = tuple(base64.b32encode(self._new_bytes(_CODE_BYTES)).decode().lower() for _ in range(COUNT))
        salt = self._new_bytes(_SALT_BYTES)
        hashes = await asyncio.to_thread(lambda: tuple(self._hash(code, salt) for code in codes))
        return tuple(_grouped(code) for code in codes), RecoveryCodes(salt, hashes)

    async def used(self, kept: RecoveryCodes, typed: str) -> RecoveryCodes | None:
        """What is left after this code; None where it is none of them."""
        code = re.sub(r"[\s\-]", "", typed).lower()
        if not _LETTERS.fullmatch(code):
            return None
        digest = await asyncio.to_thread(self._hash, code, kept.salt)
        found = [one for one in kept.hashes if hmac.compare_digest(one, digest)]
        if not found:
            return None
        return replace(kept, hashes=tuple(one for one in kept.hashes if one not in found))

    def _hash(self, code: str, salt: bytes) -> bytes:
        return hash_secret_raw(
            code.encode(), salt, self._effort.passes, self._effort.memory, _LANES, _HASH_BYTES, Type.ID
        )


def _grouped(code: str) -> str:
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))
