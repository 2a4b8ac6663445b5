"""What every PhotoVault promises: bytes come back by range, and a destroyed photo never."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fhir_server.engine.change import BlobMove
from fhir_server.kernel.errors import ConflictError, GoneError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, PENDING, Photo
from tests.contract.clinics import Opened, observation, writing

pytestmark = pytest.mark.anyio

OWNER = ResourceKey("Media", "m1")
CHUNK = 64 * 1024
LONG = b"".join(number.to_bytes(8) for number in range(9 * CHUNK // 8 + 3))


async def taken_in(clinic: Opened, data: bytes = b"pixels", patient: str = "ann") -> Photo:
    """A live photo."""
    photo = await clinic.photos.put(data, "image/jpeg", OWNER, (patient,))
    change = writing(observation(f"of-{photo.id}"[:64], patient)).moving_blob(BlobMove(photo.id, PENDING, LIVE))
    await clinic.resources.commit([change])
    return await found(clinic, photo)


async def found(clinic: Opened, photo: Photo) -> Photo:
    again = await clinic.photos.find(photo.id)
    assert again is not None
    return again


async def whole(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def test_a_photo_is_pending_until_a_commit_makes_it_live(clinic: Opened) -> None:
    photo = await clinic.photos.put(LONG, "image/png", OWNER, ("ann",))
    assert (photo.state, photo.media_type, photo.length, photo.owner) == (PENDING, "image/png", len(LONG), OWNER)

    assert await clinic.photos.find(photo.id) == photo


async def test_an_unknown_photo_is_none(clinic: Opened) -> None:
    assert await clinic.photos.find("none") is None


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 4 * CHUNK + 1, len(LONG)])
async def test_bytes_of_any_length_come_back_whole(clinic: Opened, length: int) -> None:
    photo = await taken_in(clinic, LONG[:length])

    assert await whole(clinic.photos.stream(photo, 0, length)) == LONG[:length]


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (CHUNK - 1, CHUNK + 1),
        (3, 4 * CHUNK),
        (4 * CHUNK, 4 * CHUNK + 1),
        (4 * CHUNK - 1, 8 * CHUNK + 1),
        (len(LONG) - 1, len(LONG)),
        (17, 17),
    ],
)
async def test_any_range_comes_back_alone(clinic: Opened, start: int, stop: int) -> None:
    photo = await taken_in(clinic, LONG)

    assert await whole(clinic.photos.stream(photo, start, stop)) == LONG[start:stop]


async def test_a_photo_is_opened_with_one_look_at_its_key(clinic: Opened) -> None:
    photo = await taken_in(clinic, LONG)

    kept = await clinic.photos.look(photo.id)

    assert kept is not None
    assert (kept.id, kept.owner, kept.state) == (photo.id, OWNER, LIVE)
    reading = await kept.reading()
    assert reading.photo == photo
    assert await whole(reading.bytes(3, len(LONG))) == LONG[3:]
    assert await whole(reading.bytes(17, 17)) == b""
    assert await clinic.photos.look("none") is None


async def test_photos_that_are_opened_together_come_each_with_its_own_bytes(clinic: Opened) -> None:
    photos = [await taken_in(clinic, f"pixels {number}".encode()) for number in range(3)]

    async def seen(photo: Photo) -> bytes:
        kept = await clinic.photos.look(photo.id)
        assert kept is not None
        return await whole((await kept.reading()).bytes(0, photo.length))

    assert await asyncio.gather(*map(seen, photos)) == [b"pixels 0", b"pixels 1", b"pixels 2"]


async def test_photos_of_a_patient_are_found_by_state(clinic: Opened) -> None:
    live, condemned = await taken_in(clinic), await taken_in(clinic)
    pending = await clinic.photos.put(b"x", "image/jpeg", OWNER, ("ann",))
    await taken_in(clinic, patient="ben")
    await clinic.photos.condemn(condemned)

    async def ids(*states: str) -> set[str]:
        return {photo.id for photo in await clinic.photos.of_patient("ann", set(states))}

    assert await ids(LIVE) == {live.id}
    assert await ids(CONDEMNED) == {condemned.id}
    assert await ids(PENDING, LIVE) == {pending.id, live.id}
    assert await ids() == set()
    assert await clinic.photos.of_patient("nobody", {LIVE}) == []


async def in_parts(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("length", [0, 1, CHUNK, 4 * CHUNK, 4 * CHUNK + 1, 65 * CHUNK])
async def test_bytes_that_come_in_parts_come_back_whole(clinic: Opened, length: int) -> None:
    data = (LONG * 8)[:length]

    photo = await clinic.photos.pour(in_parts(data, 100_000), length, "video/mp4", OWNER, ("ann",))

    assert (photo.state, photo.length) == (PENDING, length)
    assert await whole(clinic.photos.stream(photo, 0, length)) == data


async def test_bytes_that_break_off_leave_nothing_behind(clinic: Opened) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LONG
        raise GoneError("The source ended.")

    with pytest.raises(GoneError):
        await clinic.photos.pour(broken(), 2 * len(LONG), "video/mp4", OWNER, ("bob",))
    with pytest.raises(UnavailableError):
        await clinic.photos.pour(in_parts(LONG, 9_999), len(LONG) + 1, "video/mp4", OWNER, ("bob",))

    assert await clinic.photos.of_patient("bob", {PENDING, LIVE, CONDEMNED, DESTROYED}) == []


async def test_what_became_live_is_not_discarded(clinic: Opened) -> None:
    photo = await taken_in(clinic)

    await clinic.photos.discard(photo)
    await clinic.photos.discard(await found(clinic, photo))

    assert await clinic.photos.find(photo.id) is not None


async def test_only_a_live_photo_is_condemned(clinic: Opened) -> None:
    photo = await clinic.photos.put(b"x", "image/jpeg", OWNER, ("ann",))

    await clinic.photos.condemn(photo)

    assert (await found(clinic, photo)).state == PENDING


async def test_a_destroyed_photo_is_gone_and_leaves_only_that_it_was(clinic: Opened) -> None:
    photo = await taken_in(clinic, LONG)
    await clinic.photos.condemn(photo)

    await clinic.photos.destroy([photo], "Consent/c1/_history/2")

    with pytest.raises(GoneError):
        await whole(clinic.photos.stream(photo, 0, photo.length))
    kept = await clinic.photos.look(photo.id)
    assert kept is not None
    with pytest.raises(GoneError):
        await kept.reading()
    left = await found(clinic, photo)
    assert (left.state, left.reason, left.owner, left.subjects) == (DESTROYED, "Consent/c1/_history/2", OWNER, ("ann",))
    assert (left.media_type, left.length) == ("", 0)


async def test_to_destroy_again_is_no_fault_and_keeps_the_first_reason(clinic: Opened) -> None:
    photo = await taken_in(clinic)
    await clinic.photos.condemn(photo)
    await clinic.photos.destroy([photo], "first")

    await clinic.photos.destroy([await found(clinic, photo)], "second")

    assert (await found(clinic, photo)).reason == "first"


@pytest.mark.parametrize("by", ["the vault", "one opening"])
async def test_a_stream_ends_when_its_photo_is_destroyed_meanwhile(clinic: Opened, by: str) -> None:
    photo = await taken_in(clinic, LONG)
    kept = await clinic.photos.look(photo.id)
    assert kept is not None
    reading = await kept.reading()
    stream = reading.bytes(0, photo.length) if by == "one opening" else clinic.photos.stream(photo, 0, photo.length)
    await anext(stream)
    await clinic.photos.condemn(photo)

    await clinic.photos.destroy([photo], "Consent/c1/_history/2")

    with pytest.raises(GoneError):
        await whole(stream)


async def test_destroying_one_photo_leaves_the_others_of_the_patient(clinic: Opened) -> None:
    gone, kept = await taken_in(clinic, LONG), await taken_in(clinic, LONG)
    await clinic.photos.condemn(gone)

    await clinic.photos.destroy([gone], "why")

    assert await whole(clinic.photos.stream(kept, 0, kept.length)) == LONG


async def test_condemning_is_part_of_the_commit_that_deletes_the_media(clinic: Opened) -> None:
    photo = await taken_in(clinic)
    change = writing(observation("o9", "ann")).moving_blob(BlobMove(photo.id, LIVE, CONDEMNED))

    await clinic.resources.commit([change])

    assert (await found(clinic, photo)).state == CONDEMNED
    with pytest.raises(ConflictError):
        await clinic.resources.commit(
            [writing(observation("o10", "ann")).moving_blob(BlobMove(photo.id, LIVE, CONDEMNED))]
        )


async def test_what_stood_in_a_resource_is_destroyed_like_a_photo_and_named_once(clinic: Opened) -> None:
    photo, owner = await taken_in(clinic, LONG), ResourceKey("Observation", "o1")

    for _ in range(2):
        await clinic.photos.condemn_within(owner, ("ann",), photo.key)
    condemned = await clinic.photos.of_patient("ann", {CONDEMNED})
    await clinic.photos.destroy(condemned, "why")
    await clinic.photos.condemn_within(owner, ("ann",), photo.key)

    assert [one.owner for one in condemned] == [owner]
    assert [one.reason for one in await clinic.photos.of_patient("ann", {DESTROYED})] == ["why"]
    assert await clinic.photos.of_patient("ann", {CONDEMNED}) == []
