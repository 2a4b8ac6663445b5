"""Photos on MongoDB: what no commit made live is swept, and what was exchanged does not open."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.crypto.errors import DestroyedKeyError
from fhir_server.engine.change import BlobMove
from fhir_server.kernel.errors import ConflictError, GoneError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, PENDING, Photo
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import observation, store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

Database: TypeAlias = AsyncDatabase[Json]

OWNER = ResourceKey("Media", "m1")
DATA = secrets.token_bytes(300_000)


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


async def live(store: ClinicStore) -> Photo:
    photo = await store.photos.put(DATA, "image/jpeg", OWNER, ("ann",))
    change = writing(observation(f"of-{photo.id}"[:64], "ann")).moving_blob(BlobMove(photo.id, PENDING, LIVE))
    await store.resources.commit([change])
    return photo


async def read(store: ClinicStore, photo: Photo) -> bytes:
    return b"".join([part async for part in store.photos.stream(photo, 0, photo.length)])


async def state(store: ClinicStore, photo: Photo) -> str:
    found = await store.photos.find(photo.id)
    assert found is not None
    return found.state


async def test_what_was_never_committed_is_swept_after_an_hour_and_a_late_commit_fails(
    store: ClinicStore, clock: FakeClock, database: Database
) -> None:
    kept = await live(store)
    lost = await store.photos.put(DATA, "image/jpeg", OWNER, ("ann",))
    clock.advance(timedelta(minutes=59))
    assert await store.photos.sweep() == 0

    clock.advance(timedelta(minutes=2))
    assert await store.photos.sweep() == 1

    assert (await state(store, lost), await state(store, kept)) == (DESTROYED, LIVE)
    assert await database["chunks"].count_documents({"_id": {"$regex": f"^{lost.id}/"}}) == 0
    assert await read(store, kept) == DATA
    with pytest.raises(ConflictError):
        await store.resources.commit(
            [writing(observation("late", "ann")).moving_blob(BlobMove(lost.id, PENDING, LIVE))]
        )


async def test_a_sweep_that_died_half_way_is_finished_by_the_next(
    store: ClinicStore, clock: FakeClock, database: Database
) -> None:
    """It was killed after it condemned the photo: nobody else would ever look at it."""
    lost = await store.photos.put(DATA, "image/jpeg", OWNER, ("ann",))
    clock.advance(timedelta(hours=2))
    await database["photos"].update_one({"_id": lost.id}, {"$set": {"state": CONDEMNED}})

    await store.photos.sweep()

    assert await state(store, lost) == DESTROYED


async def test_a_destroyed_photo_has_no_bytes_and_its_key_is_never_made_again(
    store: ClinicStore, database: Database
) -> None:
    photo = await live(store)
    await store.photos.condemn(photo)

    await store.photos.destroy([photo], "why")

    assert await database["chunks"].count_documents({}) == 0
    with pytest.raises(GoneError):
        await read(store, photo)
    with pytest.raises(DestroyedKeyError):
        await store.keyring.rendition_key(("ann",), photo.id)


async def test_t72_bytes_that_were_changed_moved_or_cut_do_not_open(store: ClinicStore, database: Database) -> None:
    photo, other = await live(store), await live(store)
    chunks = database["chunks"]
    first = await chunks.find_one({"_id": f"{photo.id}/0"})
    foreign = await chunks.find_one({"_id": f"{other.id}/0"})
    assert first
    assert foreign
    swapped = [first["chunks"][1], first["chunks"][0], *first["chunks"][2:]]
    flipped = [bytes([first["chunks"][0][0] ^ 1]) + first["chunks"][0][1:], *first["chunks"][1:]]

    for bad in (swapped, flipped, first["chunks"][:-1], foreign["chunks"], []):
        await chunks.update_one({"_id": first["_id"]}, {"$set": {"chunks": bad}})
        with pytest.raises(UnavailableError):
            await read(store, photo)
    assert await read(store, other) == DATA


async def test_a_row_that_was_given_another_owner_does_not_open(store: ClinicStore, database: Database) -> None:
    photo = await live(store)
    await database["photos"].update_one({"_id": photo.id}, {"$set": {"owner": "Media/other"}})

    with pytest.raises(UnavailableError):
        await store.photos.find(photo.id)
