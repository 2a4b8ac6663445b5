"""Keys, clocks and key rings that the tests of this package share."""

import asyncio
import dataclasses
import secrets
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyClass, KeyId
from fhir_server.crypto.rows import bucket
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys

NOW = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
Request = tuple[tuple[str, ...], KeyClass]

RECORD: Request = (("p1",), KeyClass.RECORD)
MARKETING: Request = (("p1",), KeyClass.MARKETING)
PAIR: Request = (("p1", "p2"), KeyClass.RECORD)
CLINIC: Request = ((), KeyClass.CLINIC)
KEY = DataKey(KeyId(b"key id of 16 byt"), b"k" * 32)


class FixedClock:
    def now(self) -> datetime:
        return NOW


def done(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def keyring(store: FakeKeyStore, root: FakeRootKeys, **settings: Any) -> Keyring:
    return Keyring(store, root, secrets.token_bytes, FixedClock(), **settings)


def take(store: FakeKeyStore, root: FakeRootKeys, *requests: Request) -> Mapping[Request, DataKey]:
    keys: Mapping[Request, DataKey] = done(keyring(store, root).data_keys(requests or (RECORD,)))
    return keys


async def standing(ring: Keyring, *requests: Request) -> Mapping[Request, DataKey]:
    """What may be sealed with for good."""
    keys: Mapping[Any, DataKey] = await ring.confirm(await ring.draft(requests))
    return keys


def carry_bucket(store: FakeKeyStore, root: FakeRootKeys) -> None:
    """The patient's bucket under a new generation, its old one dropped; nobody's key is touched."""
    name = bucket("p1").name
    store.rows[name] = dataclasses.replace(store.rows[name], stale=True, revision=store.rows[name].revision + 1)
    done(keyring(store, root).rekeying.finish())
