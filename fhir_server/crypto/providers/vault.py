"""Root keys in the transit engine of HashiCorp Vault or OpenBao: it wraps and unwraps, and never shows a key.

https://developer.hashicorp.com/vault/api-docs/secret/transit: encrypt, decrypt, rotate, and `trim`, which destroys.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from fhir_server.crypto.errors import KeeperAwayError, NoRootKeyError, ProviderError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.providers.port import MOST_WRAPPED, DestructionNote, RootStatus, Wrapped
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError

NOTE = (
    "The root key lies in the transit engine; snapshots of its storage that hold an old version are outside the "
    "control of this server."
)
_NAMED = "A transit key is named as https://HOST:8200/v1/transit/keys/NAME."
SECONDS = 10.0
MOST_BYTES = 256 * 1024
_PATH = re.compile(r"/v1/((?:[\w.-]+/)+)keys/([\w.-]+)", re.ASCII)
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)", re.ASCII)
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_OK, _NO_CONTENT, _FORBIDDEN, _NOT_FOUND, _FAULT = 200, 204, 403, 404, 500


@dataclass(frozen=True, slots=True)
class TransitKey:
    """`https://host:8200/v1/transit/keys/clinic`: the address that the engine itself gives the key."""

    mount: str
    name: str

    @classmethod
    def at(cls, url: str) -> "TransitKey":
        """Raises ProviderError. Without TLS a token would cross the network: only to an agent on this machine."""
        try:
            parts = urlsplit(url)
            found, host = _PATH.fullmatch(parts.path), parts.hostname
        except ValueError:
            raise ProviderError(_NAMED) from None
        secure = parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)
        if not found or not host or not secure or "@" in parts.netloc or parts.query or parts.fragment:
            raise ProviderError(_NAMED)
        return cls(f"{parts.scheme}://{parts.netloc}/v1/{found[1]}", found[2])


class VaultProvider:
    """`token` is asked before each call: an agent renews it. No token: the agent on this machine adds its own."""

    def __init__(self, key: TransitKey, token: Callable[[], str | None], trusted: ssl.SSLContext | None = None) -> None:
        self._key, self._token = key, token
        self._trusted = trusted or ssl.create_default_context()

    async def wrap(self, plain: bytes) -> Wrapped:
        if len(plain) > MOST_WRAPPED:
            raise ProviderError("That is too long to be wrapped by the root key.")
        answer = await self._post(f"encrypt/{self._key.name}", {"plaintext": _text(plain), **self._bound()})
        found = _CIPHERTEXT.fullmatch(str(answer.get("ciphertext")))
        if found is None:
            raise ProviderError("The transit engine answered with something else than a ciphertext.")
        return Wrapped(int(found[1]), _bytes(found[2]))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        ciphertext = f"vault:v{wrapped.version}:{_text(wrapped.blob)}"
        answer = await self._post(f"decrypt/{self._key.name}", {"ciphertext": ciphertext, **self._bound()})
        return _bytes(answer.get("plaintext"))

    async def new_version(self) -> int:
        before = await self._read()
        if before is None:
            await self._post(f"keys/{self._key.name}", {"type": "aes256-gcm96"})
        else:
            await self._post(f"keys/{self._key.name}/rotate", {})
        return (await self.describe()).version

    async def destroy_up_to(self, version: int) -> DestructionNote:
        """`trim` demands that neither opening nor wrapping with an older version is allowed any more."""
        status = await self.describe()
        if version >= status.version:
            raise ProviderError("The newest version of the root key cannot be destroyed: make a new one first.")
        if version >= status.oldest:
            least = version + 1
            place = f"keys/{self._key.name}"
            await self._post(f"{place}/config", {"min_decryption_version": least, "min_encryption_version": least})
            await self._post(f"{place}/trim", {"min_available_version": least})
        return DestructionNote(version, None, NOTE)

    async def describe(self) -> RootStatus:
        found = await self._read()
        if found is None:
            raise NoRootKeyError("The transit engine has no such key: make it, or correct its name.")
        least = [found.get(name, 0) for name in ("latest_version", "min_available_version", "min_decryption_version")]
        if not all(isinstance(number, int) and number >= 0 for number in least) or least[0] < 1:
            raise ProviderError("The transit engine describes its key in another way than expected.")
        if found.get("exportable") or found.get("allow_plaintext_backup") or found.get("derived"):
            raise ProviderError("The transit key can be exported, or is derived: make one that is neither.")
        return RootStatus("vault", least[0], max(1, *least[1:]), NOTE)

    def _bound(self) -> dict[str, str]:
        return {"associated_data": _text(frame([b"root key", self._key.name.encode()]))}

    async def _read(self) -> json.Json | None:
        return await self._asked("GET", f"keys/{self._key.name}", None)

    async def _post(self, path: str, body: Mapping[str, object]) -> json.Json:
        answer = await self._asked("POST", path, body)
        if answer is None:
            raise NoRootKeyError("The transit engine has no such key: make it, or correct its name.")
        return answer

    async def _asked(self, method: str, path: str, body: Mapping[str, object] | None) -> json.Json | None:
        """The `data` of the answer; None for 404. No redirect is followed: the token would go along."""
        headers = {"X-Vault-Request": "true", "Accept-Encoding": "identity"}
        if token := self._token():
            headers["X-Vault-Token"] = token
        content = None if body is None else json.encode(body)
        try:
            async with (
                asyncio.timeout(SECONDS),
                httpx2.AsyncClient(verify=self._trusted, trust_env=False, timeout=SECONDS) as client,
                client.stream(method, self._key.mount + path, content=content, headers=headers) as answer,
            ):
                found = bytearray()
                async for part in answer.aiter_raw():
                    found += part
                    if len(found) > MOST_BYTES:
                        raise ProviderError("The transit engine's answer is too large.")
                return _data(answer.status_code, bytes(found))
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, TimeoutError):
            raise KeeperAwayError("The keeper of the root key cannot be reached, or is too slow.") from None


def _data(status: int, body: bytes) -> json.Json | None:
    """Its own words are not repeated: they may quote what was sent."""
    if status == _NOT_FOUND:
        return None
    if status == _FORBIDDEN:
        raise KeeperAwayError("The keeper of the root key refuses the token: it lacks the policy, or has expired.")
    if status >= _FAULT:
        raise KeeperAwayError(f"The keeper of the root key is sealed, standing by or faulty (HTTP {status}).")
    if status not in {_OK, _NO_CONTENT}:
        raise ProviderError(f"The transit engine refuses (HTTP {status}): the version is gone, or the bytes altered.")
    try:
        data = (json.decode(body) or {}).get("data") or {} if body else {}
    except (MalformedError, AttributeError):
        data = None
    if not isinstance(data, dict):
        raise ProviderError("The transit engine's answer is not what it should be.")
    return data


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise ProviderError("The transit engine answered with something else than base64.") from None
