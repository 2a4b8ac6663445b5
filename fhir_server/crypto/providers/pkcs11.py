"""Root keys in a hardware security module: made in it, used in it, never out of it.

OASIS PKCS #11 v2.40 section 2.12 (CKM_AES_GCM); RFC 7512 for the URI that names token, key, module and PIN.

A version is one AES-256 key, sensitive and not extractable. Its CKA_ID is the version and twelve random bytes, which
stand before what it wraps: should two processes make a version at once there are two keys of one number, and each
opens its own.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar, cast
from urllib.parse import unquote

import pkcs11
from pkcs11.exceptions import PinIncorrect, PinLocked, PKCS11Error, UserAlreadyLoggedIn

from fhir_server.crypto.errors import KeeperAwayError, NoRootKeyError, ProviderError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.providers.port import MOST_WRAPPED, DestructionNote, RootStatus, Wrapped

NOTE = (
    "The root key lies in a hardware module and does not leave it; a backup of the module's own keys is outside the "
    "control of this server."
)
SECONDS = 10.0
_VERSION_BYTES, _SALT_BYTES, _NONCE_BYTES = 4, 12, 12
_SCHEME, _FILE = "pkcs11:", "file:"
_PIN_BYTES = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModuleKey:
    """`pkcs11:token=clinic;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin`."""

    module: str
    token: str
    label: str
    pin: Path

    @classmethod
    def at(cls, uri: str) -> "ModuleKey":
        """Raises ProviderError. A PIN is never in the URI itself, which is shown and logged."""
        path, _, query = uri.removeprefix(_SCHEME).partition("?")
        given = dict(pair.partition("=")[::2] for pair in (*path.split(";"), *query.split("&")))
        named = {name: unquote(value) for name, value in given.items()}
        pin = named.get("pin-source", "")
        whole = set(named) == {"token", "object", "module-path", "pin-source"} and all(named.values())
        if not uri.startswith(_SCHEME) or not whole or not pin.startswith(_FILE):
            raise ProviderError(
                "A key in a module is named as pkcs11:token=TOKEN;object=LABEL?module-path=PATH&pin-source=file:PATH."
            )
        return cls(named["module-path"], named["token"], named["object"], Path(pin.removeprefix(_FILE)))


class _Aes(Protocol):
    """What is used of a key in the module."""

    def encrypt(self, data: bytes, *, mechanism: object, mechanism_param: object) -> bytes: ...
    def decrypt(self, data: bytes, *, mechanism: object, mechanism_param: object) -> bytes: ...
    def destroy(self) -> None: ...


class _Token:
    """The one session of this process with a token: PKCS #11 logs in a process, not a session.

    A PIN that was refused is not tried again: after a few times the token would lock itself.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self._session: pkcs11.Session | None = None
        self._refused = False

    def session(self, key: ModuleKey) -> pkcs11.Session:
        if self._refused:
            raise KeeperAwayError("The keeper of the root key refused the PIN: correct it and start again.")
        if self._session is None:
            self._session = self._opened(key)
        return self._session

    def drop(self) -> None:
        """After a fault: the next call begins anew, with a module that came back or took another's place."""
        if self._session is not None:
            with suppress(PKCS11Error):  # it is gone: that is why
                self._session.close()
            self._session = None

    def _opened(self, key: ModuleKey) -> pkcs11.Session:
        token = pkcs11.lib(key.module).get_token(token_label=key.token)
        try:
            return token.open(rw=True, user_pin=_pin(key.pin))
        except UserAlreadyLoggedIn:
            return token.open(rw=True)
        except (PinIncorrect, PinLocked):
            self._refused = True
            raise KeeperAwayError("The keeper of the root key refused the PIN: correct it and start again.") from None


_TOKENS: dict[tuple[str, str], _Token] = {}


class Pkcs11Provider:
    def __init__(self, key: ModuleKey, new_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._key, self._new_bytes = key, new_bytes
        self._token = _TOKENS.setdefault((key.module, key.token), _Token())

    async def wrap(self, plain: bytes) -> Wrapped:
        if len(plain) > MOST_WRAPPED:
            raise ProviderError("That is too long to be wrapped by the root key.")

        def work(session: pkcs11.Session) -> Wrapped:
            id, key = max(self._keys(session), key=lambda found: found[0])
            nonce = self._new_bytes(_NONCE_BYTES)
            sealed = key.encrypt(
                plain, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(nonce, aad=_bound(id))
            )
            return Wrapped(_version(id), id[_VERSION_BYTES:] + nonce + sealed)

        return await self._run(work)

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        def work(session: pkcs11.Session) -> bytes:
            id = wrapped.version.to_bytes(_VERSION_BYTES) + wrapped.blob[:_SALT_BYTES]
            key = dict(self._keys(session)).get(id)
            nonce, sealed = wrapped.blob[_SALT_BYTES:][:_NONCE_BYTES], wrapped.blob[_SALT_BYTES + _NONCE_BYTES :]
            if key is None or not sealed:
                raise ProviderError(
                    f"Version {wrapped.version} of the root key was destroyed, or is not in the module."
                )
            try:
                return key.decrypt(
                    sealed, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(nonce, aad=_bound(id))
                )
            except PKCS11Error:
                self._token.drop()
                raise ProviderError("The root key does not open this.") from None

        return await self._run(work)

    async def new_version(self) -> int:
        def work(session: pkcs11.Session) -> int:
            newest = max((_version(id) for id, _ in self._found(session)), default=0) + 1
            session.generate_key(
                pkcs11.KeyType.AES,
                256,
                id=newest.to_bytes(_VERSION_BYTES) + self._new_bytes(_SALT_BYTES),
                label=self._key.label,
                store=True,
                capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
            return newest

        return await self._run(work)

    async def destroy_up_to(self, version: int) -> DestructionNote:
        def work(session: pkcs11.Session) -> None:
            keys = self._keys(session)
            if version >= max(_version(id) for id, _ in keys):
                raise ProviderError("The newest version of the root key cannot be destroyed: make a new one first.")
            for id, key in keys:
                if _version(id) <= version:
                    key.destroy()

        await self._run(work)
        return DestructionNote(version, None, NOTE)

    async def describe(self) -> RootStatus:
        def work(session: pkcs11.Session) -> RootStatus:
            versions = [_version(id) for id, _ in self._keys(session)]
            return RootStatus("pkcs11", max(versions), min(versions), NOTE)

        return await self._run(work)

    def _keys(self, session: pkcs11.Session) -> list[tuple[bytes, _Aes]]:
        found = self._found(session)
        if not found:
            raise NoRootKeyError("The module has no such root key: make its first version, or correct its name.")
        return found

    def _found(self, session: pkcs11.Session) -> list[tuple[bytes, _Aes]]:
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: self._key.label}
        keys = [(bytes(key[pkcs11.Attribute.ID]), cast("_Aes", key)) for key in session.get_objects(wanted)]
        if any(len(id) != _VERSION_BYTES + _SALT_BYTES for id, _ in keys):
            raise ProviderError("The module has keys of that label that this server did not make.")
        return keys

    async def _run(self, work: Callable[[pkcs11.Session], T]) -> T:
        """In a thread, one call at a time. A call into a module cannot be broken off, so nobody waits for it longer."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._locked, work), SECONDS)
        except TimeoutError:
            raise KeeperAwayError("The keeper of the root key does not answer.") from None

    def _locked(self, work: Callable[[pkcs11.Session], T]) -> T:
        if not self._token.lock.acquire(timeout=SECONDS):
            raise KeeperAwayError("The keeper of the root key does not answer.")
        try:
            return work(self._token.session(self._key))
        except PKCS11Error as error:
            self._token.drop()
            raise KeeperAwayError(f"The keeper of the root key cannot do this ({type(error).__name__}).") from None
        finally:
            self._token.lock.release()


def _version(id: bytes) -> int:
    return int.from_bytes(id[:_VERSION_BYTES])


def _bound(id: bytes) -> bytes:
    return frame([b"root key", id])


def _pin(path: Path) -> str:
    try:
        with path.open() as file:
            return file.read(_PIN_BYTES).strip()
    except (OSError, ValueError):
        raise ProviderError("The file with the module's PIN cannot be read.") from None
