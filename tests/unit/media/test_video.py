"""A cleaned video shows every frame and tells nothing else."""

from datetime import UTC, datetime

import pytest

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats
from fhir_server.media.formats import recognise
from fhir_server.media.metadata import Cleaned, cleaned
from fhir_server.media.source import Held, carried_out, length_of
from tests.unit.media.films import PICTURES, PLACES, SOUND, apple, box, full, mp4, numbers, track
from tests.unit.media.pictures import PLACE

pytestmark = pytest.mark.anyio


async def done(data: bytes) -> tuple[bytes, Cleaned]:
    found = recognise(data)
    assert found is not None
    result = await cleaned(Held(data), found)
    return b"".join([part async for part in carried_out(Held(data), result.plan)]), result


@pytest.mark.parametrize("index_first", [True, False])
async def test_t33_a_video_loses_places_and_names_and_keeps_every_frame(*, index_first: bool) -> None:
    dirty = mp4(apple(**{"location.ISO6709": PLACE.decode()}), index_first=index_first, before=box(b"uuid", PLACE))

    kept, result = await done(dirty)

    assert PLACE in dirty
    assert PLACE not in kept
    assert b"Ana" in dirty
    assert b"Ana" not in kept
    assert PLACES not in kept
    assert kept.index(PICTURES + SOUND) == dirty.index(PICTURES + SOUND)
    assert len(kept) == len(dirty) == length_of(result.plan)
    assert (await done(kept))[0] == kept


async def test_b2_a_video_says_when_and_with_what_it_was_taken() -> None:
    told = apple(make="Clinic", model="Cam 7", creationdate="2026-03-01T10:15:00+01:00", software="17.1")

    _, by_apple = await done(mp4(told, brand=b"qt  "))
    _, by_header = await done(mp4())

    assert by_apple.facts.taken == datetime.fromisoformat("2026-03-01T10:15:00+01:00")
    assert by_apple.facts.device == "Clinic Cam 7"
    assert by_header.facts.taken == datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
    assert by_header.facts.device == ""


async def test_what_apple_says_wrongly_is_not_taken_over() -> None:
    without_text = box(b"meta", full(b"keys", numbers(0)), box(b"ilst", box(numbers(9), box(b"data", numbers(1, 0)))))

    for told in (apple(creationdate="yesterday"), without_text, box(b"meta", full(b"keys", numbers(0)))):
        assert (await done(mp4(told)))[1].facts.taken == datetime(2026, 3, 1, 10, 15, tzinfo=UTC)


async def test_long_offsets_and_a_long_box_are_understood() -> None:
    at = len(box(b"ftyp", b"isom", bytes(4), b"mp42"))
    long_free = numbers(1) + b"free" + (16 + 40).to_bytes(8) + PLACE.ljust(40)
    pictures = track(b"vide", [at + 56 + 8], [20], wide=True)

    kept, _ = await done(mp4(tracks=(pictures,), before=long_free))

    assert PICTURES in kept
    assert SOUND not in kept
    assert PLACE not in kept


async def test_a_video_without_a_header_of_its_own_says_nothing_of_time() -> None:
    at = len(box(b"ftyp", b"isom")) + 8
    bare = box(b"ftyp", b"isom") + box(b"mdat", PICTURES) + box(b"moov", track(b"vide", [at], [20]))

    assert (await done(bare))[1].facts.taken is None


BAD = {
    "cut off in the index": mp4()[:-20],
    "cut off in the pictures": mp4(index_first=True)[:-30],
    "no index": box(b"ftyp", b"isom") + box(b"mdat", b"x"),
    "two indexes": mp4(after=box(b"moov")),
    "fragments": mp4(after=box(b"moof")),
    "no pictures": mp4(tracks=(track(b"soun", [40], [6]),)),
    "chunks outside the data": mp4(tracks=(track(b"vide", [4], [20]),)),
    "more samples than sizes": mp4(tracks=(track(b"vide", [40], [20], runs=(1, 9, 1)),)),
    "runs that begin at two": mp4(tracks=(track(b"vide", [40], [20], runs=(2, 1, 1)),)),
    "no runs": mp4(tracks=(track(b"vide", [40], [20], runs=()),)),
    "a thousand million pixels": mp4(size=(60_000, 60_000)),
    "no size": mp4(size=(0, 0)),
    "a track without tables": mp4(tracks=(box(b"trak", box(b"mdia", full(b"hdlr", bytes(4), b"vide", bytes(12)))),)),
    "a brand list without end": box(b"ftyp", b"isom", bytes(5_000)) + mp4(),
    "many boxes": mp4(after=box(b"free") * 1_001),
    "many boxes in one place": mp4(box(b"free") * 10_001),
    "a table that is cut off": mp4().replace(full(b"stco", numbers(2))[4:16], full(b"stco", numbers(99))[4:16]),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_video_that_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(UnprocessableError):
        await cleaned(Held(BAD[name]), formats.MP4)


async def test_media_in_another_file_is_refused() -> None:
    elsewhere = mp4().replace(full(b"url ", flags=1), full(b"url ", flags=0))

    with pytest.raises(UnprocessableError, match="another file"):
        await done(elsewhere)


async def test_an_index_without_places_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="lacks a table"):
        await done(mp4().replace(b"stco", b"xxxx"))


async def test_an_index_over_its_limit_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="too large"):
        await done(mp4(box(b"free", bytes(17 << 20))))


async def test_media_data_up_to_the_end_of_the_file_is_understood() -> None:
    whole = mp4(index_first=True)
    at = whole.index(b"mdat") - 4

    kept, _ = await done(whole[:at] + bytes(4) + whole[at + 4 :])

    assert PICTURES in kept


async def test_values_of_other_kinds_are_not_taken_for_names() -> None:
    number = apple(make="Clinic").replace(
        box(b"data", numbers(1, 0), b"Clinic"), box(b"data", numbers(21, 0), b"Clinic")
    )

    assert (await done(mp4(number)))[1].facts.device == ""


async def test_a_chunk_without_samples_lies_nowhere() -> None:
    at = len(box(b"ftyp", b"isom", bytes(4), b"mp42")) + 8
    pictures = track(b"vide", [at, at + 20], [20], runs=(1, 1, 1, 2, 0, 1))

    assert PICTURES in (await done(mp4(tracks=(pictures,))))[0]


async def test_pictures_that_do_not_begin_the_data_are_kept_in_their_place() -> None:
    at = len(box(b"ftyp", b"isom", bytes(4), b"mp42")) + 8
    pictures = track(b"vide", [at + 10], [10])

    kept, _ = await done(mp4(tracks=(pictures,)))

    assert kept[at : at + 20] == bytes(10) + PICTURES[10:]
