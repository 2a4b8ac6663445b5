"""The pieces of a backup: encrypted once more, each bound to its place, so that none can be changed, moved or cut off.

AES-256-GCM with random nonces (NIST SP 800-38D section 8.2.2) under a key of this one backup (HKDF, its id as salt).
Bytes: `format (1) | nonce (12) | ciphertext | tag (16)`.

What is backed up is sealed already; this layer hides the addresses too. It does not erase anything by itself: erased is
what no key in the newest key backup opens, and a key backup goes with the version of the root that wraps it.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto.derivation import derive
from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.providers.port import RootKeyProvider, Wrapped
from fhir_server.crypto.wrapping import unwrap_by_root, wrap_by_root

ID_BYTES = 16
_FORMAT = b"\x01"
_NONCE = slice(1, 13)
_HEADER = 13


class Archive:
    """Seals and opens the pieces of one backup. Holds no state: whoever resumes it can go on with any piece."""

    def __init__(self, secret: bytes, id: bytes, new_bytes: Callable[[int], bytes]) -> None:
        if len(id) != ID_BYTES:
            raise ValueError("The id of a backup has 16 bytes.")
        self._cipher = AESGCM(derive(secret, "backup", salt=id))
        self._id, self._new_bytes = id, new_bytes

    def seal(self, name: str, number: int, plain: bytes, *, final: bool) -> bytes:
        """A piece that was never finished may be sealed again: each time has a nonce of its own."""
        nonce = self._new_bytes(12)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, self._place(name, number, final=final))

    def open(self, name: str, number: int, sealed: bytes, *, final: bool) -> bytes:
        """Raises ArchiveError for a piece of another backup, name, number or flag, and for altered bytes."""
        try:
            # With the format that it states: another than ours does not open.
            place = sealed[:1] + self._place(name, number, final=final)[1:]
            return self._cipher.decrypt(sealed[_NONCE], sealed[_HEADER:], place)
        except (InvalidTag, ValueError):
            raise ArchiveError(f"{name}, piece {number}: it is not what was written there.") from None

    def _place(self, name: str, number: int, *, final: bool) -> bytes:
        return _FORMAT + frame([b"piece", self._id, name.encode(), number.to_bytes(8), bytes([final])])


async def wrapped_secret(provider: RootKeyProvider, id: bytes, secret: bytes) -> Wrapped:
    """The key of a backup of keys lies beside it, under the root: it goes when that version of the root goes."""
    return await wrap_by_root(provider, secret, _binding(id))


async def unwrapped_secret(provider: RootKeyProvider, id: bytes, wrapped: Wrapped) -> bytes:
    """Raises ProviderError once the root's version was destroyed."""
    return await unwrap_by_root(provider, wrapped, _binding(id))


def _binding(id: bytes) -> bytes:
    return frame([b"backup of keys", id])
