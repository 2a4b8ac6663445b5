"""Several server processes on one key store, run step by step in any order, any of them killed at any step."""

import itertools
import secrets
from collections.abc import Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KEY_BYTES, KeyClass, KeyId
from fhir_server.crypto.providers.port import Wrapped
from fhir_server.crypto.rows import KeyRow, WrapperKind, bucket, generation, is_root, wanted
from fhir_server.crypto.wrapping import unwrap
from fhir_server.kernel.errors import UnavailableError
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys

Request = tuple[tuple[str, ...], KeyClass]
Move = tuple[int, int]

_MOST_TURNS = 10_000
TO_THE_END = 100_000
DIES = 0


def _patients_of_one_bucket() -> tuple[str, str, str]:
    """Two patients that share a bucket, and a third of another."""
    ids = [f"p{number}" for number in range(2000)]
    first = ids[0]
    second = next(other for other in ids[1:] if bucket(other) == bucket(first))
    return first, second, next(other for other in ids if bucket(other) != bucket(first))


A, B, C = _patients_of_one_bucket()
REQUESTS: list[Request] = [
    ((A,), KeyClass.RECORD),
    ((A,), KeyClass.MARKETING),
    ((B,), KeyClass.RECORD),
    ((A, B), KeyClass.RECORD),
    ((B, C), KeyClass.PROOF),
    ((), KeyClass.CLINIC),
]


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 14, tzinfo=UTC)


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def _pause() -> None:
    await _Turn()


@dataclass
class World:
    """The store, the root, and what the processes were given or destroyed."""

    store: FakeKeyStore = field(default_factory=lambda: FakeKeyStore(pause=_pause))
    root: FakeRootKeys = field(default_factory=FakeRootKeys)
    given: dict[KeyId, bytes] = field(default_factory=dict)
    names: dict[object, set[KeyId]] = field(default_factory=dict)
    destroyed: set[KeyId] = field(default_factory=set)
    old: Keyring = field(init=False)

    def __post_init__(self) -> None:
        self.old = self.keyring()

    def keyring(self) -> Keyring:
        return Keyring(self.store, self.root, secrets.token_bytes, FixedClock())

    async def take(self, requests: Sequence[Request]) -> None:
        for request, key in (await self.keyring().data_keys(requests)).items():
            assert self.given.setdefault(key.id, key.secret) == key.secret
            self.names.setdefault(request, set()).add(key.id)

    async def take_as_new(self, requests: Sequence[Request]) -> None:
        """By a process that saw the buckets some time ago, and is told that nobody has keys yet."""
        self.old.forget_all()
        draft = await self.old.draft(requests, new=(A, B, C))
        await _pause()  # it seals with them
        for request, key in (await self.old.confirm(draft)).items():
            assert self.given.setdefault(key.id, key.secret) == key.secret
            self.names.setdefault(request, set()).add(key.id)

    async def open(self, ids: Sequence[KeyId]) -> None:
        found = await self.keyring().open_keys(ids)
        for key_id in ids:
            assert key_id in self.destroyed or found[key_id].secret == self.given[key_id]

    async def destroy(self, ids: Sequence[KeyId]) -> None:
        self.destroyed |= set(ids)
        done = await self.keyring().destroy(ids, "erasure")
        assert {entry.key_id for entry in done.entries} == set(ids)

    async def finish(self) -> None:
        await self.keyring().rekeying.finish()

    async def rotate(self) -> None:
        await self.keyring().rekeying.rotate_root()

    def patients(self) -> list[KeyRow]:
        return [row for row in self.store.rows.values() if row.kind is WrapperKind.PATIENT]

    def check(self) -> None:
        """Nothing that was given out is lost; nothing that was destroyed can be had again from every copy ever made."""
        alone(self.finish())
        listed = {entry.key_id for entry in self.store.list}
        assert listed <= self.destroyed
        assert not any(row.due for row in self.store.rows.values())
        found = alone(self.keyring().open_keys(list(self.given)))
        assert {key_id: key.secret for key_id, key in found.items()} == {
            key_id: secret for key_id, secret in self.given.items() if key_id not in listed
        }
        for request, ids in self.names.items():
            assert len(ids - listed) <= 1, request
        alone(self.take(REQUESTS))
        alone(self.rotate())
        version = alone(self.root.describe()).version
        alone(self.keyring().rekeying.retire_root(version - 1))
        stolen = self.stolen()
        assert not {self.given[key_id] for key_id in listed & self.given.keys()} & stolen
        assert {secret for key_id, secret in self.given.items() if key_id not in listed} <= stolen

    def stolen(self) -> set[bytes]:
        """Every secret that opens with all rows that were ever stored, and the root as it is now."""
        known: dict[KeyId, set[bytes]] = {}
        wraps = [(wanted(row), at, wrap) for row in self.store.ever for at, wrap in enumerate(row.wraps)]
        size = -1
        while size != (size := sum(map(len, known.values()))):
            for place, at, wrap in wraps:
                secrets_found = known.setdefault(wrap.key, set())
                try:
                    if is_root(wrap.by):
                        opened = alone(self.root.unwrap(Wrapped(generation(wrap.by), wrap.blob)))
                        secrets_found.add(opened[-KEY_BYTES:])
                    for outer in known.get(wrap.by, set()).copy():
                        secrets_found.add(unwrap(outer, wrap.blob, place.binding(at, wrap.key, wrap.by)))
                except CryptoError:
                    continue
        return set().union(*known.values())


def alone(process: Coroutine[Any, Any, Any]) -> Any:
    """Run one process to its end while nobody else moves."""
    while True:
        try:
            process.send(None)
        except StopIteration as stop:
            return stop.value


def run(processes: Sequence[Coroutine[Any, Any, Any]], schedule: Sequence[Move]) -> None:
    """Let the processes move as the schedule says: which one, and how many steps; no steps kill it. Then in turn.

    One that has ended stays still.
    """
    living = dict(enumerate(processes))
    for which, steps in itertools.islice(itertools.chain(schedule, _in_turn()), _MOST_TURNS):
        number = which % len(processes)
        if number in living and not _moved(living[number], steps):
            del living[number]
        if not living:
            return
    raise AssertionError("A process never ends.")


def _moved(process: Coroutine[Any, Any, Any], steps: int) -> bool:
    """False when it has ended."""
    if steps == 0:
        process.close()
        return False
    try:
        for _ in range(steps):
            process.send(None)
    except (StopIteration, UnavailableError):  # the latter says that it was not done, to be tried again
        return False
    return True


def _in_turn() -> Iterator[Move]:
    return ((number, 7) for number in itertools.count())
