"""Root keys in a file of this machine: for one clinic on one computer, and for development.

AES-256-GCM (NIST SP 800-38D) with a random nonce; purpose and version are authenticated beside the wrapped bytes.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto.errors import ProviderError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import KEY_BYTES
from fhir_server.crypto.providers import private_file
from fhir_server.crypto.providers.port import MOST_WRAPPED, DestructionNote, RootStatus, Wrapped
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError

NOTE = "The root key is a file: copies of it, in backups or on the medium, are outside the control of this server."
_FORMAT = 1
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class _Versions:
    """What the file holds: each living version's key, and up to which version they were destroyed."""

    keys: dict[int, bytes] = field(repr=False)
    destroyed_up_to: int = 0

    @property
    def newest(self) -> int:
        return max(self.keys)


class FileProvider:
    """Refuses to start when anyone but the owner may read the file. Notices when another process replaced it."""

    def __init__(self, path: Path, new_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._path, self._new_bytes = path, new_bytes
        self._read()

    @classmethod
    def create(cls, path: Path, new_bytes: Callable[[int], bytes] = secrets.token_bytes) -> "FileProvider":
        """Make the file and its directory where there are none. Of several that try at once, all use the same file."""
        private_file.make_directory(path.parent)
        with private_file.locked(path):
            private_file.create(path, _encoded(_Versions({1: new_bytes(KEY_BYTES)})))
        return cls(path, new_bytes)

    async def wrap(self, plain: bytes) -> Wrapped:
        if len(plain) > MOST_WRAPPED:
            raise ProviderError("That is too long to be wrapped by the root key.")
        versions = self._current()
        nonce = self._new_bytes(_NONCE_BYTES)
        cipher = AESGCM(versions.keys[versions.newest])
        return Wrapped(versions.newest, nonce + cipher.encrypt(nonce, plain, _bound(versions.newest)))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        key = self._current().keys.get(wrapped.version)
        if key is None:
            raise ProviderError(f"Version {wrapped.version} of the root key was destroyed, or is not in this file.")
        nonce, sealed = wrapped.blob[:_NONCE_BYTES], wrapped.blob[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, sealed, _bound(wrapped.version))
        except (InvalidTag, ValueError):
            raise ProviderError("The root key does not open this.") from None

    async def new_version(self) -> int:
        return await asyncio.to_thread(self._add_version)

    async def destroy_up_to(self, version: int) -> DestructionNote:
        await asyncio.to_thread(self._destroy_up_to, version)
        return DestructionNote(version, None, NOTE)

    async def describe(self) -> RootStatus:
        versions = self._current()
        return RootStatus("file", versions.newest, min(versions.keys), NOTE)

    def _current(self) -> _Versions:
        """Wrapping with a version that another process destroyed would lose a key, so each call looks: one stat."""
        fingerprint, versions = self._seen
        return versions if private_file.fingerprint(self._path) == fingerprint else self._read()

    def _read(self) -> _Versions:
        # The fingerprint first: should the file be replaced in between, the next call only reads it once more.
        fingerprint = private_file.fingerprint(self._path)
        versions = _decoded(private_file.read(self._path))
        self._seen = (fingerprint, versions)
        return versions

    def _add_version(self) -> int:
        with private_file.locked(self._path):
            versions = self._read()
            newest = versions.newest + 1
            keys = {**versions.keys, newest: self._new_bytes(KEY_BYTES)}
            private_file.replace(self._path, _encoded(_Versions(keys, versions.destroyed_up_to)))
        return newest

    def _destroy_up_to(self, version: int) -> None:
        with private_file.locked(self._path):
            versions = self._read()
            if version >= versions.newest:
                raise ProviderError("The newest version of the root key cannot be destroyed: make a new one first.")
            if version > versions.destroyed_up_to:
                living = {number: key for number, key in versions.keys.items() if number > version}
                private_file.replace(self._path, _encoded(_Versions(living, version)))


def _bound(version: int) -> bytes:
    return frame([b"root key", version.to_bytes(4)])


def _encoded(versions: _Versions) -> bytes:
    keys = {str(number): key.hex() for number, key in sorted(versions.keys.items())}
    return json.encode({"format": _FORMAT, "destroyed_up_to": versions.destroyed_up_to, "keys": keys})


def _decoded(content: bytes) -> _Versions:
    try:
        found = json.decode(content)
        keys = {int(number): bytes.fromhex(key) for number, key in found["keys"].items()}
        versions = _Versions(keys, int(found["destroyed_up_to"]))
        whole = found["format"] == _FORMAT and keys and all(len(key) == KEY_BYTES for key in keys.values())
    except (MalformedError, KeyError, TypeError, ValueError, AttributeError):
        raise ProviderError("The root key file is damaged.") from None
    if not whole:
        raise ProviderError("The root key file is of another format, or damaged.")
    return versions
