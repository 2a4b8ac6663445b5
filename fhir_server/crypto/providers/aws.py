"""Root keys in AWS KMS: it wraps and unwraps, and never shows a key.

https://docs.aws.amazon.com/kms/latest/APIReference/. KMS destroys no single version of a key that it rotates, so each
version is a key of its own, under the alias `alias/NAME/VERSION`: an alias is unique, which settles who makes a
version. A key is deleted at the date that KMS names, seven days later; until then it opens nothing, but can be called
back.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from fhir_server.crypto.errors import KeeperAwayError, NoRootKeyError, ProviderError
from fhir_server.crypto.providers.port import MOST_WRAPPED, DestructionNote, RootStatus, Wrapped
from fhir_server.kernel.json import Json

NOTE = "The root key lies in AWS KMS, which deletes an old version seven days after it was told to."
SECONDS = 10.0
_MAKING = Lock()
"""To make a client is not thread-safe; to use one is."""
_OURS = frozenset(
    {"IncorrectKeyException", "InvalidCiphertextException", "KMSInvalidStateException", "NotFoundException"}
)
"""Faults of what was asked for, which no waiting mends."""
_DAYS = 7
_MARK = b"\1"
"""Before what is wrapped: KMS takes nothing that is empty."""
_MOST_ALIASES = 10_000
_ARN = re.compile(r"(arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:)(alias/[A-Za-z0-9/_-]{1,200})", re.ASCII)
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
T = TypeVar("T")


class _Pages(Protocol):
    def paginate(self, **given: object) -> Iterable[Json]: ...


class _Kms(Protocol):
    """What is used of the client that AWS's library makes at run time."""

    def encrypt(self, **given: object) -> Json: ...
    def decrypt(self, **given: object) -> Json: ...
    def create_key(self, **given: object) -> Json: ...
    def create_alias(self, **given: object) -> Json: ...
    def describe_key(self, **given: object) -> Json: ...
    def schedule_key_deletion(self, **given: object) -> Json: ...
    def get_paginator(self, operation: str) -> _Pages: ...


@dataclass(frozen=True, slots=True)
class KmsKey:
    """`arn:aws:kms:eu-west-3:111122223333:alias/clinic`; the versions are `alias/clinic/1` and so on."""

    account: str
    region: str
    name: str

    @classmethod
    def at(cls, arn: str) -> "KmsKey":
        """Raises ProviderError."""
        found = _ARN.fullmatch(arn)
        if found is None:
            raise ProviderError("A key in KMS is named as arn:aws:kms:REGION:ACCOUNT:alias/NAME.")
        return cls(found[1], found[2], found[3].rstrip("/"))

    def alias(self, version: int) -> str:
        return f"{self.name}/{version}"

    def arn(self, version: int) -> str:
        """With the account, so that credentials of another one find nothing."""
        return self.account + self.alias(version)


class AwsProvider:
    """Credentials come from where AWS's own library looks for them: a role, best."""

    def __init__(self, key: KmsKey) -> None:
        self._key = key
        self._client: _Kms | None = None
        self._gone: dict[int, datetime] = {}

    async def wrap(self, plain: bytes) -> Wrapped:
        if len(plain) > MOST_WRAPPED:
            raise ProviderError("That is too long to be wrapped by the root key.")
        return await self._run(lambda kms: self._wrap(kms, plain))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        return await self._run(lambda kms: self._unwrap(kms, wrapped))

    async def new_version(self) -> int:
        return await self._run(self._new_version)

    async def destroy_up_to(self, version: int) -> DestructionNote:
        return await self._run(lambda kms: self._destroy_up_to(kms, version))

    async def describe(self) -> RootStatus:
        def work(kms: _Kms) -> RootStatus:
            living = self._living(kms)
            return RootStatus("aws-kms", max(living), min(living), NOTE)

        return await self._run(work)

    def _wrap(self, kms: _Kms, plain: bytes) -> Wrapped:
        version = max(self._living(kms))
        answer = kms.encrypt(
            KeyId=self._key.arn(version), Plaintext=_MARK + plain, EncryptionContext=self._context(version)
        )
        return Wrapped(version, answer["CiphertextBlob"])

    def _unwrap(self, kms: _Kms, wrapped: Wrapped) -> bytes:
        if wrapped.version in self._gone:
            raise ProviderError(f"Version {wrapped.version} of the root key was destroyed.")
        opened: bytes = kms.decrypt(
            KeyId=self._key.arn(wrapped.version),
            CiphertextBlob=wrapped.blob,
            EncryptionContext=self._context(wrapped.version),
        )["Plaintext"]
        return opened.removeprefix(_MARK)

    def _new_version(self, kms: _Kms) -> int:
        """Who comes second with an alias lets the key go that it made for it, and takes the other's."""
        version = max(self._versions(kms), default=0) + 1
        made = kms.create_key(Description=f"Root key of a FHIR server: {self._key.name}, version {version}")
        id = made["KeyMetadata"]["KeyId"]
        try:
            kms.create_alias(AliasName=self._key.alias(version), TargetKeyId=id)
        except ClientError as error:
            kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=_DAYS)
            if _code(error) != "AlreadyExistsException":
                raise
        return version

    def _destroy_up_to(self, kms: _Kms, version: int) -> DestructionNote:
        """The date of the last of them; told again, the same date."""
        living = self._living(kms)
        if version >= max(living):
            raise ProviderError("The newest version of the root key cannot be destroyed: make a new one first.")
        for old in (number for number in living if number <= version):
            id = kms.describe_key(KeyId=self._key.arn(old))["KeyMetadata"]["KeyId"]
            self._gone[old] = kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=_DAYS)["DeletionDate"]
        dates = [date for old, date in self._gone.items() if old <= version]
        return DestructionNote(version, max(dates, default=None), NOTE)

    def _living(self, kms: _Kms) -> list[int]:
        """The versions that open. What is about to be deleted keeps its alias, and is asked about once."""
        versions = self._versions(kms)
        for version in versions[:-1]:
            if version not in self._gone:
                told = kms.describe_key(KeyId=self._key.arn(version))["KeyMetadata"]
                if told["KeyState"] == "PendingDeletion":
                    self._gone[version] = told["DeletionDate"]
        if not versions:
            raise NoRootKeyError("KMS has no such root key: make its first version, or correct its name.")
        return [version for version in versions if version not in self._gone]

    def _versions(self, kms: _Kms) -> list[int]:
        prefix = self._key.arn(0)[:-1]
        pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"MaxItems": _MOST_ALIASES})
        names = [alias["AliasArn"] for page in pages for alias in page["Aliases"]]
        numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return sorted(int(number) for number in numbers if number.isascii() and number.isdigit())

    def _context(self, version: int) -> dict[str, str]:
        return {"purpose": "root key", "name": self._key.name, "version": str(version)}

    async def _run(self, work: Callable[[_Kms], T]) -> T:
        """In a thread: the library waits. Its words are not repeated, they may quote what was sent."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: work(self._connected())), SECONDS)
        except ClientError as error:
            kind = ProviderError if _code(error) in _OURS else KeeperAwayError
            raise kind(f"The keeper of the root key refuses ({_code(error)}).") from None
        except (BotoCoreError, TimeoutError) as error:
            words = f"The keeper of the root key cannot be reached, or is too slow ({type(error).__name__})."
            raise KeeperAwayError(words) from None

    def _connected(self) -> _Kms:
        with _MAKING:
            if self._client is None:
                self._client = boto3.client("kms", region_name=self._key.region, config=_CONFIG)
            return self._client


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
