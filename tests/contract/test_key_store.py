"""What every KeyStore promises. Each implementation passes the same tests: add a factory to STORES."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import pytest

from fhir_server.crypto.destroyed import Tally, tally_of
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.rows import KeyRow, Wrap, WrapperKind, bucket, data, named, patient, picture, pictured
from fhir_server.store.collections import prepare
from fhir_server.store.connection import connect
from fhir_server.store.keys import INDEXES, Keys
from tests.fakes.key_store import FakeKeyStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
ROOT = KeyId(bytes(15) + b"\1")

Factory = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[KeyStore]]


@asynccontextmanager
async def fake_store(request: pytest.FixtureRequest) -> AsyncIterator[KeyStore]:
    yield FakeKeyStore()


@asynccontextmanager
async def mongo_store(request: pytest.FixtureRequest) -> AsyncIterator[KeyStore]:
    client = connect(request.getfixturevalue("mongo_uri"))
    try:
        opened = Keys(client, request.getfixturevalue("database_name"))
        await prepare(opened.database, INDEXES)
        yield opened
    finally:
        await client.close()


STORES = [pytest.param(fake_store, id="memory"), pytest.param(mongo_store, id="mongodb")]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[KeyStore]:
    async with request.param(request) as opened:
        yield opened


def key(number: int) -> KeyId:
    return KeyId(number.to_bytes(16))


def wrap(number: int, by: KeyId = ROOT) -> Wrap:
    return Wrap(key(number), by, f"blob {number}".encode())


def data_row(number: int, owner: str = "p1", by: KeyId = ROOT) -> KeyRow:
    place = data((owner,), KeyClass.RECORD)
    return KeyRow(place.name, place.kind, place.owners, (wrap(number, by),))


def patient_row(number: int, owner: str = "p1") -> KeyRow:
    place = patient(owner)
    return KeyRow(place.name, place.kind, place.owners, (wrap(number),))


async def test_a_row_comes_back_as_it_was_stored(store: KeyStore) -> None:
    pair = data(("a", "b"), KeyClass.MARKETING)
    rows = [
        patient_row(1),
        KeyRow(pair.name, pair.kind, pair.owners, (wrap(2, key(1)), wrap(2, key(3))), 7, stale=True),
        KeyRow(named("x", KeyClass.SIGNING).name, KeyClass.SIGNING, (), (wrap(4),)),
    ]

    assert await store.insert(rows) == 3

    found = {row.name: row for row in await store.fetch(names=[row.name for row in rows])}
    assert found == {row.name: row for row in rows}


async def test_rows_are_found_by_name_and_by_any_key_that_they_hold_and_each_once(store: KeyStore) -> None:
    two = dataclasses.replace(patient_row(1), wraps=(wrap(1), wrap(2)))
    await store.insert([two, data_row(3), data_row(4, "p2")])

    assert [row.name for row in await store.fetch(ids=[key(1)])] == [two.name]
    assert [row.name for row in await store.fetch(ids=[key(1), key(2)])] == [two.name]
    assert {row.newest for row in await store.fetch(names=[two.name], ids=[key(2), key(4)])} == {key(2), key(4)}
    assert list(await store.fetch(names=["record/nobody"], ids=[key(9)])) == []
    assert list(await store.fetch()) == []


async def test_a_name_is_taken_once_and_what_comes_after_it_is_not_stored(store: KeyStore) -> None:
    winner = data_row(1)
    await store.insert([winner])

    added = await store.insert([patient_row(2), data_row(3), data_row(4, "p2")])

    assert added == 1
    names = [patient("p1").name, winner.name, data_row(4, "p2").name]
    assert {row.name: row.newest for row in await store.fetch(names=names)} == {names[0]: key(2), names[1]: key(1)}


async def test_a_row_tells_its_revision_by_its_name(store: KeyStore) -> None:
    await store.insert([patient_row(1), dataclasses.replace(data_row(3), revision=7)])

    assert await store.revisions([patient("p1").name, data_row(3).name, "record/nobody"]) == {
        patient("p1").name: 1,
        data_row(3).name: 7,
    }


async def test_nothing_to_insert_is_no_fault(store: KeyStore) -> None:
    assert await store.insert([]) == 0
    assert not await store.replace([])


async def test_a_row_is_replaced_only_by_its_next_revision(store: KeyStore) -> None:
    await store.insert([data_row(1), data_row(2, "p2"), data_row(3, "p3")])
    good = dataclasses.replace(data_row(1), wraps=(wrap(1, key(50)),), revision=2)
    late = dataclasses.replace(data_row(2, "p2"), wraps=(wrap(2, key(50)),), revision=3)
    lost = dataclasses.replace(data_row(9, "nobody"), revision=2)

    refused = await store.replace([good, late, lost])

    assert set(refused) == {late.name, lost.name}
    found = {row.name: row for row in await store.fetch(names=[good.name, late.name, lost.name])}
    assert found == {good.name: good, late.name: data_row(2, "p2")}


async def test_of_two_replacements_of_one_revision_the_first_stays(store: KeyStore) -> None:
    await store.insert([data_row(1)])
    first = dataclasses.replace(data_row(1), wraps=(wrap(1, key(50)),), revision=2)
    second = dataclasses.replace(data_row(1), wraps=(wrap(1, key(60)),), revision=2)

    assert not await store.replace([first])
    assert set(await store.replace([second])) == {first.name}

    assert list(await store.fetch(names=[first.name])) == [first]


async def test_rows_are_found_by_what_is_around_any_of_their_wraps(store: KeyStore) -> None:
    pair = data(("a", "b"), KeyClass.RECORD)
    both = KeyRow(pair.name, pair.kind, pair.owners, (wrap(1, key(10)), wrap(1, key(11))))
    await store.insert([both, data_row(2, by=key(11)), data_row(3, "p2", by=key(12))])

    assert {row.newest for row in await store.wrapped_by([key(11)], 10)} == {key(1), key(2)}
    assert {row.newest for row in await store.wrapped_by([key(10), key(11)], 10)} == {key(1), key(2)}
    assert len(await store.wrapped_by([key(10), key(11), key(12)], 2)) == 2
    assert list(await store.wrapped_by([key(99)], 10)) == []
    assert list(await store.wrapped_by([], 10)) == []


async def test_keys_of_pictures_are_found_by_each_whose_they_are(store: KeyStore) -> None:
    places = [picture(("a", "b"), "Task/1"), picture(("b",), "Task/2"), picture(("c",), "Task/3")]
    rows = [KeyRow(one.name, one.kind, one.owners, (wrap(n, key(9)),)) for n, one in enumerate(places)]
    await store.insert([*rows, data_row(7, "b")])

    found = await store.owned("b", KeyClass.PICTURE)

    assert {pictured(row) for row in found} == {"Task/1", "Task/2"}
    assert list(await store.owned("d", KeyClass.PICTURE)) == []


async def test_rows_are_due_when_stale_or_with_two_generations(store: KeyStore) -> None:
    done = patient_row(1)
    stale = dataclasses.replace(patient_row(2, "p2"), stale=True)
    two = dataclasses.replace(patient_row(3, "p3"), wraps=(wrap(3), wrap(4)))
    other = KeyRow(bucket("p1").name, WrapperKind.BUCKET, (), (wrap(5),), stale=True)
    await store.insert([done, stale, two, other])

    assert {row.name for row in await store.due(WrapperKind.PATIENT, 10)} == {stale.name, two.name}
    assert {row.name for row in await store.due(WrapperKind.BUCKET, 10)} == {other.name}
    assert len(await store.due(WrapperKind.PATIENT, 1)) == 1

    finished = dataclasses.replace(two, wraps=two.wraps[1:], revision=2)
    await store.replace([finished])
    assert [row.name for row in await store.due(WrapperKind.PATIENT, 10)] == [stale.name]


async def test_a_destroyed_key_is_gone_and_on_the_list_and_its_wrappers_are_stale(store: KeyStore) -> None:
    await store.insert([patient_row(1), patient_row(2, "p2"), data_row(3), data_row(4, "p2")])

    entries = await store.destroy([key(3)], [patient("p1").name], "erasure", NOW)

    assert [entry.key_id for entry in entries] == [key(3)]
    assert list(await store.fetch(ids=[key(3)])) == []
    assert [row.newest for row in await store.fetch(ids=[key(4)])] == [key(4)]
    assert list(await store.destroyed([key(3), key(4)])) == list(entries)
    [marked] = await store.due(WrapperKind.PATIENT, 10)
    assert marked == dataclasses.replace(patient_row(1), revision=2, stale=True)


async def test_a_row_that_is_stale_already_changes_its_revision_all_the_same(store: KeyStore) -> None:
    await store.insert([patient_row(1), data_row(2), data_row(3, "p2")])
    await store.destroy([key(2)], [patient("p1").name], "erasure", NOW)
    await store.destroy([key(3)], [patient("p1").name], "erasure", NOW)

    [row] = await store.fetch(names=[patient("p1").name])

    assert (row.revision, row.stale) == (3, True)


async def test_destroying_again_or_what_never_was_changes_nothing(store: KeyStore) -> None:
    await store.insert([patient_row(1), data_row(2)])
    await store.destroy([key(2)], [], "erasure", NOW)
    before = await store.tally()

    assert list(await store.destroy([key(2), key(77)], [patient("p1").name], "again", NOW)) == []

    assert await store.tally() == before
    assert list(await store.due(WrapperKind.PATIENT, 10)) == []


async def test_a_wrapping_key_is_not_destroyed_by_its_id(store: KeyStore) -> None:
    await store.insert([patient_row(1)])

    await store.destroy([key(1)], [], "mistake", NOW)

    assert len(await store.fetch(ids=[key(1)])) == 1
    assert (await store.tally()).count == 0


async def test_the_list_of_destroyed_keys_is_numbered_and_its_hash_covers_it(store: KeyStore) -> None:
    await store.insert([data_row(3), data_row(1, "p2"), data_row(2, "p3")])
    assert await store.tally() == Tally()

    await store.destroy([key(3), key(1)], [], "erasure", NOW)
    await store.destroy([key(2)], [], "retention", NOW)

    entries = await store.destroyed([key(1), key(2), key(3)])
    assert [(entry.number, entry.key_id, entry.reason) for entry in entries] == [
        (1, key(1), "erasure"),
        (2, key(3), "erasure"),
        (3, key(2), "retention"),
    ]
    assert {entry.instant for entry in entries} == {NOW.replace(microsecond=589000)}
    assert await store.tally() == tally_of(entries) == entries[-1].tally


async def test_rows_are_counted_by_kind(store: KeyStore) -> None:
    assert not await store.counts()
    await store.insert([patient_row(1), data_row(2), data_row(3, "p2")])

    assert dict(await store.counts()) == {"patient": 1, "record": 2}
