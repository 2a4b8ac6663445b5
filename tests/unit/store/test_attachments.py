"""Large data on MongoDB: shared by versions, gone with its key, swept where no commit came, bound to its place."""

import base64
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.crypto.blob import Blob
from fhir_server.crypto.keys import KeyClass, KeyId, KeyRequest
from fhir_server.engine.change import BlobMove
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, FhirError, GoneError, TooLargeError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.store.attaching import MOST_ATTACHED, MOST_WITHIN, Attaching
from fhir_server.store.base64_text import plain
from fhir_server.store.chunks import Chunks, Place
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.documents import Row
from fhir_server.store.outcomes import UnknownOutcomeError
from tests.contract.clinics import store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

Database: TypeAlias = AsyncDatabase[Json]

DATA = secrets.token_bytes(900_000)
OTHER = secrets.token_bytes(1_000_000)
DOCUMENTS = 4
"""What either of them takes in `chunks`: 64 KiB a chunk, four to a document."""
ANN = KeyRequest(("ann",), KeyClass.RECORD)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(mongo_uri: str, database_name: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[ClinicStore]:
    async with store_on(mongo_uri, database_name, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def database(mongo_uri: str, database_name: str) -> AsyncIterator[Database]:
    async with AsyncMongoClient[Json](mongo_uri) as client:
        yield client[database_name]


def report(*data: bytes, id: str = "d1", of: str = "ann", title: str = "Report") -> Json:
    contents = [
        {"attachment": {"contentType": "application/pdf", "data": base64.b64encode(one).decode()}} for one in data
    ]
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "description": title,
        "subject": {"reference": f"Patient/{of}"},
        "content": contents,
    }


async def put(store: ClinicStore, resource: Json) -> Stored:
    previous = await store.resources.read(ResourceKey("DocumentReference", resource["id"]))
    [stored] = await store.resources.commit([writing(resource, previous)])
    return stored


async def read(store: ClinicStore, id: str = "d1", version: int | None = None) -> list[bytes]:
    """The data of one document."""
    key = ResourceKey("DocumentReference", id)
    stored = await (store.resources.read(key) if version is None else store.resources.read_version(key, version))
    assert stored is not None
    whole = (await stored.whole()).resource
    return [base64.b64decode(one["attachment"]["data"]) for one in whole["content"]]


async def counts(database: Database) -> tuple[int, int]:
    return await database["attachments"].count_documents({}), await database["chunks"].count_documents({})


async def states(database: Database) -> set[str]:
    return {row["state"] async for row in database["attachments"].find()}


async def left_behind(store: ClinicStore) -> None:
    """As a process leaves it that is killed before its commit."""
    key = (await store.keyring.data_keys([ANN]))[ANN]
    await store.attachments.put(plain(base64.b64encode(OTHER).decode()), ResourceKey("DocumentReference", "d9"), key)


async def test_it_is_live_with_its_resource_and_outside_of_its_document(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA, OTHER))

    row = await database["resources"].find_one({"_id": "DocumentReference/d1"})
    assert row
    assert len(row["sealed"]) < 2_000
    assert await states(database) == {"live"}
    assert await counts(database) == (2, 2 * DOCUMENTS)
    assert await read(store) == [DATA, OTHER]


async def test_versions_share_what_stayed_the_same(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA))
    await put(store, report(DATA, title="Other words"))
    await put(store, report(OTHER, DATA, DATA))

    assert await counts(database) == (2, 2 * DOCUMENTS)
    assert [await read(store, version=version) for version in (1, 2, 3)] == [[DATA], [DATA], [OTHER, DATA, DATA]]


async def test_another_patients_data_is_sealed_under_that_patients_key(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA))
    await put(store, report(DATA, of="ben"))
    await put(store, report(DATA, id="d2"))

    rows = [row async for row in database["attachments"].find()]
    assert len({row["key"] for row in rows}) == 2
    assert len(rows) == 3, "what two documents have alike is not shared: erasing one must not touch the other"
    assert [await read(store, version=version) for version in (1, 2)] == [[DATA], [DATA]]


async def test_what_was_never_committed_is_swept_after_an_hour(
    store: ClinicStore, clock: FakeClock, database: Database
) -> None:
    await put(store, report(DATA))
    await left_behind(store)
    assert await states(database) == {"live", "pending"}

    clock.advance(timedelta(minutes=59))
    assert await store.attachments.sweep() == 0
    clock.advance(timedelta(minutes=2))
    assert await store.attachments.sweep() == 1

    assert await counts(database) == (1, DOCUMENTS)
    assert await read(store) == [DATA]


async def test_a_sweep_that_died_half_way_is_finished_by_the_next(
    store: ClinicStore, clock: FakeClock, database: Database
) -> None:
    await left_behind(store)
    await database["attachments"].update_one({}, {"$set": {"state": "condemned"}})
    await database["chunks"].delete_one({})
    clock.advance(timedelta(hours=2))

    await store.attachments.sweep()

    assert await counts(database) == (0, 0)


async def test_a_commit_that_comes_after_the_sweep_stores_nothing(
    store: ClinicStore, clock: FakeClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Attaching.rows

    async def swept_meanwhile(self: Attaching, given: tuple[Row, ...]) -> tuple[Row, ...]:
        ready = await rows(self, given)
        clock.advance(timedelta(hours=2))
        await store.attachments.sweep()
        return ready

    monkeypatch.setattr(Attaching, "rows", swept_meanwhile)

    with pytest.raises(UnavailableError):
        await put(store, report(DATA))

    assert await store.resources.read(ResourceKey("DocumentReference", "d1")) is None
    assert await counts(database) == (0, 0)


async def test_a_write_that_fails_leaves_none_of_its_data(store: ClinicStore, database: Database) -> None:
    no_such_photo = writing(report(DATA)).moving_blob(BlobMove("nothing", "pending", "live"))

    with pytest.raises(ConflictError):
        await store.resources.commit([no_such_photo])

    assert await counts(database) == (0, 0)


async def test_of_a_bundle_all_or_nothing_is_kept(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA, id="d2"))
    fine, stale = writing(report(DATA)), writing(report(OTHER, id="d2"))

    with pytest.raises(FhirError):
        await store.resources.commit([fine, stale])

    assert await counts(database) == (1, DOCUMENTS)
    assert await store.resources.read(ResourceKey("DocumentReference", "d1")) is None


async def test_too_much_of_it_is_refused_and_leaves_nothing(store: ClinicStore, database: Database) -> None:
    text = "QUJD" * (MOST_WITHIN // 4 + 1)
    resource = report()
    resource["content"] = [{"attachment": {"data": text}}] * (MOST_ATTACHED + 1)

    with pytest.raises(TooLargeError):
        await store.resources.commit([writing(report(DATA, id="d2")), writing(resource)])

    assert await counts(database) == (0, 0)


async def test_where_the_outcome_is_unknown_the_data_stays_until_it_is_known(
    store: ClinicStore, clock: FakeClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> None:
        raise UnknownOutcomeError("The database did not say.")

    monkeypatch.setattr("fhir_server.store.commit.Committer.commit", lost)
    with pytest.raises(UnknownOutcomeError):
        await put(store, report(DATA))
    assert await states(database) == {"pending"}

    clock.advance(timedelta(hours=2))
    await store.attachments.sweep()

    assert await counts(database) == (0, 0)


async def test_where_chunks_cannot_be_written_nothing_stays(
    store: ClinicStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> None:
        raise UnavailableError("The database does not answer.")

    monkeypatch.setattr("fhir_server.store.chunks.Chunks.pour", failing)

    with pytest.raises(UnavailableError):
        await put(store, report(DATA))

    assert await counts(database) == (0, 0)


async def test_where_one_stretch_cannot_be_written_those_on_their_way_are_gone_as_well(
    store: ClinicStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, sent = Chunks._insert, []

    async def failing(self: Chunks, place: Place, blob: Blob, number: int, *rest: Any) -> None:
        if not number:
            raise UnavailableError("The database does not answer.")
        await insert(self, place, blob, number, *rest)
        sent.append(number)

    monkeypatch.setattr(Chunks, "_insert", failing)

    with pytest.raises(UnavailableError):
        await put(store, report(bytes(8 << 20)))

    assert sent
    assert await counts(database) == (0, 0)


async def test_with_its_key_it_is_gone_from_every_version(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA))
    await put(store, report(OTHER, id="d2", of="ben"))
    held = await store.resources.read(ResourceKey("DocumentReference", "d1"))
    assert held
    key = KeyId(held.raw["key"])

    await store.keyring.destroy([key], "erasure")

    assert await store.resources.read(ResourceKey("DocumentReference", "d1")) is None
    with pytest.raises(GoneError):
        await held.whole()
    assert await store.attachments.erase([key]) == 1
    assert await counts(database) == (1, DOCUMENTS)
    assert await read(store, "d2") == [OTHER]


async def test_a_stream_that_runs_ends_when_its_chunks_are_erased(store: ClinicStore) -> None:
    data = secrets.token_bytes(3_000_000)
    await put(store, report(data))
    held = await store.resources.read(ResourceKey("DocumentReference", "d1"))
    assert held
    stream = held.attached[0].data(0, len(data))
    await anext(stream)

    await store.attachments.erase([KeyId(held.raw["key"])])

    with pytest.raises(UnavailableError):
        async for _ in stream:
            pass


@pytest.mark.parametrize("shared", [False, True])
async def test_a_row_whose_key_changed_before_its_commit_is_not_written(
    store: ClinicStore, database: Database, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    """Its data, brought or shared, would be sealed under a key that is destroyed: the version would never open."""
    if shared:
        await put(store, report(DATA))
    rows = Attaching.rows

    async def erased_meanwhile(self: Attaching, given: tuple[Row, ...]) -> tuple[Row, ...]:
        ready = await rows(self, given)
        assert ready[0].framed_under
        await store.keyring.destroy([ready[0].framed_under], "erasure")
        return ready

    monkeypatch.setattr(Attaching, "rows", erased_meanwhile)

    with pytest.raises(UnavailableError):
        await put(store, report(DATA, title="Again"))

    assert await counts(database) == ((1, DOCUMENTS) if shared else (0, 0))
    assert await database["resources"].count_documents({"version": {"$gt": 1}}) == 0


@pytest.mark.parametrize("start", [0, 1, 262_143, 262_144, 500_000, 899_999])
async def test_any_range_of_it_opens_alone(store: ClinicStore, start: int) -> None:
    await put(store, report(DATA))
    stored = await store.resources.read(ResourceKey("DocumentReference", "d1"))
    assert stored
    [attached] = stored.attached

    for stop in (start, start + 1, min(start + 70_000, len(DATA)), len(DATA)):
        assert b"".join([part async for part in attached.data(start, stop)]) == DATA[start:stop]


async def test_bytes_that_were_changed_moved_cut_or_deleted_do_not_open(store: ClinicStore, database: Database) -> None:
    await put(store, report(DATA))
    await put(store, report(OTHER, id="d2"))
    chunks = database["chunks"]
    mine = await database["attachments"].find_one({"owner": "DocumentReference/d1"})
    other = await database["attachments"].find_one({"owner": "DocumentReference/d2"})
    assert mine
    assert other
    first = await chunks.find_one({"_id": f"{mine['_id']}/0"})
    foreign = await chunks.find_one({"_id": f"{other['_id']}/0"})
    assert first
    assert foreign
    flipped = [bytes([first["chunks"][0][0] ^ 1]) + first["chunks"][0][1:], *first["chunks"][1:]]
    swapped = [first["chunks"][1], first["chunks"][0], *first["chunks"][2:]]

    for bad in (swapped, flipped, first["chunks"][:-1], foreign["chunks"], []):
        await chunks.update_one({"_id": first["_id"]}, {"$set": {"chunks": bad}})
        with pytest.raises(UnavailableError):
            await read(store)
    await chunks.delete_one({"_id": first["_id"]})
    with pytest.raises(UnavailableError):
        await read(store)
    assert await read(store, "d2") == [OTHER]


async def test_ordinary_rows_are_not_looked_into(store: ClinicStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their length tells that they hold none."""

    def looked(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("fhir_server.store.attaching._large", looked)

    stored = await put(store, report(DATA[:1000]))

    assert replace(stored, raw={}).attached == ()
    with pytest.raises(AssertionError):
        await put(store, report(DATA, id="d2"))
