"""A cleaned HEIC shows its picture, upright, and tells nothing else."""

import struct
from datetime import datetime

import pytest

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats
from fhir_server.media.boxes import boxes
from fhir_server.media.formats import recognise
from fhir_server.media.heic import clean_heic
from fhir_server.media.metadata import clean
from tests.unit.media.films import box, full, heic, numbers
from tests.unit.media.pictures import PLACE


def test_t33_a_heic_loses_exif_xmp_thumbnail_and_names() -> None:
    dirty = heic(top=box(b"uuid", PLACE))
    assert recognise(dirty) == formats.HEIC

    cleaned, facts = clean_heic(dirty)

    assert PLACE in dirty
    assert PLACE not in cleaned
    assert b"Ana" not in cleaned
    assert b"THUMBNAIL" not in cleaned
    assert b"Exif" not in cleaned
    assert b"mime" not in cleaned
    assert cleaned.index(b"CODED-PICTURE") == dirty.index(b"CODED-PICTURE")
    assert b"irot\x01" in cleaned
    assert len(cleaned) == len(dirty)
    assert facts.taken == datetime(2026, 3, 1, 10, 15)  # noqa: DTZ001  the camera named no time zone
    assert facts.device == "Clinic Cam 7"
    assert [found.kind for found in boxes(cleaned, 0, len(cleaned))] == [b"ftyp", b"free", b"meta", b"mdat"]


def test_cleaning_again_changes_nothing() -> None:
    once = clean(heic(), formats.HEIC)

    assert clean(once, formats.HEIC) == once


def test_an_exif_item_that_is_none_tells_nothing() -> None:
    assert clean_heic(heic(exif=b"nothing"))[1].taken is None


BAD = {
    "cut off": heic()[:-1],
    "no index": heic().replace(b"meta", b"free", 1),
    "the primary picture is an Exif block": heic(primary=3),
    "pictures beyond the data": heic(shift=1_000),
    "pictures before the data": heic(shift=-40),
    "too many pixels": heic(size=(1, 1_000_000_000)),
    "no size": heic().replace(b"ispe", b"free"),
    "no properties": heic().replace(b"iprp", b"free"),
    "no container of properties": heic().replace(b"ipco", b"free"),
    "no primary picture": heic().replace(b"pitm", b"free"),
    "items of an old kind": heic().replace(b"infe\x02", b"infe\x00"),
    "no brand first": heic().replace(b"ftyp", b"free", 1),
}


@pytest.mark.parametrize("name", BAD)
def test_a_heic_that_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(UnprocessableError):
        clean_heic(BAD[name])


def test_a_picture_of_pieces_keeps_how_it_is_put_together() -> None:
    """A grid refers to its tiles: with long ids, inside the index, and in an `iloc` of the second version."""
    tiles, shape = [b"TILE-ONE", b"TILE-TWO"], b"GRID-SHAPE"
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    infes = [
        full(b"infe", struct.pack(">IH", number, 0), kind, b"Ana\x00", version=3)
        for number, kind in ((1, b"hvc1"), (2, b"hvc1"), (3, b"grid"), (4, b"Exif"))
    ]

    def index(at: int) -> bytes:
        places = [(1, 0, at, 8), (2, 0, at + 8, 8), (3, 1, 0, len(shape)), (4, 1, len(shape), len(PLACE))]
        entries = b"".join(struct.pack(">IHHHII", id, how, 0, 1, start, size) for id, how, start, size in places)
        return full(
            b"meta",
            full(b"pitm", struct.pack(">I", 3), version=1),
            full(b"iloc", b"\x44\x00", struct.pack(">I", 4), entries, version=2),
            full(b"iinf", struct.pack(">I", 4), *infes, version=1),
            full(
                b"iref",
                box(b"dimg", struct.pack(">IHII", 3, 2, 1, 2)),
                box(b"cdsc", struct.pack(">IHI", 4, 1, 3)),
                box(b"auxl", struct.pack(">IHI", 1, 1, 4)),
                version=1,
            ),
            box(
                b"iprp",
                box(b"ipco", full(b"ispe", numbers(8, 8))),
                full(b"ipma", numbers(1, 3), b"\x01\x80\x01", version=1, flags=1),
            ),
            box(b"idat", shape, PLACE),
        )

    at = len(head) + len(index(0)) + 8
    dirty = head + index(at) + box(b"mdat", *tiles, PLACE)

    cleaned, _ = clean_heic(dirty)

    assert PLACE not in cleaned
    assert b"Ana" not in cleaned
    assert cleaned[at:].startswith(b"".join(tiles))
    assert shape in cleaned
    assert box(b"dimg", struct.pack(">IHII", 3, 2, 1, 2)) in cleaned
    assert b"cdsc" not in cleaned
    assert b"auxl" not in cleaned
    assert clean_heic(cleaned)[0] == cleaned


def test_names_alone_are_blanked_where_they_stand() -> None:
    once = clean_heic(heic())[0]
    at = once.index(b"hvc1") + 4
    named = once[:at] + b"A" + once[at + 1 :]

    assert clean_heic(named)[0] == once


def test_properties_that_are_none_are_left_out() -> None:
    odd = heic().replace(full(b"ipma", numbers(2))[4:12], full(b"odds", numbers(2))[4:12])

    assert b"odds" not in clean_heic(odd)[0]


def test_data_in_two_boxes_is_understood() -> None:
    cleaned, _ = clean_heic(heic(top=box(b"mdat", PLACE)))

    assert b"CODED-PICTURE" in cleaned
    assert PLACE not in cleaned


WORSE = {
    "an item in another file": heic().replace(struct.pack(">HHH", 1, 0, 1), struct.pack(">HHH", 1, 1, 1)),
    "more pieces than there may be": heic().replace(struct.pack(">HHH", 1, 0, 1), struct.pack(">HHH", 1, 0, 65_535)),
    "a table that ends early": heic().replace(b"\x44\x00" + struct.pack(">H", 4), b"\x44\x00" + struct.pack(">H", 40)),
    "a reference to an item that is not there": clean_heic(heic())[0].replace(
        full(b"iref") + b"\x00" * 4, box(b"free") + b"\x00" * 4
    )[:-2],
    "too many boxes of data": heic() + box(b"mdat") * 20,
}


@pytest.mark.parametrize("name", WORSE)
def test_an_index_that_lies_is_refused(name: str) -> None:
    with pytest.raises(UnprocessableError):
        clean_heic(WORSE[name])


def test_what_leaves_too_little_room_for_free_space_is_refused() -> None:
    """One picture, and in a table of references two bytes that lead nowhere: nothing else would go."""
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def index(at: int, *targets: int) -> bytes:
        return full(
            b"meta",
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", b"\x44\x00", struct.pack(">HHHHII", 1, 1, 0, 1, at, 4)),
            full(b"iinf", struct.pack(">H", 1), full(b"infe", struct.pack(">HH", 1, 0), b"hvc1\x00", version=2)),
            full(b"iref", box(b"auxl", struct.pack(f">HH{len(targets)}H", 1, len(targets), *targets))),
            box(b"iprp", box(b"ipco", full(b"ispe", numbers(8, 8))), full(b"ipma", numbers(0))),
        )

    def whole(*targets: int) -> bytes:
        return head + index(len(head) + len(index(0, *targets)) + 8, *targets) + box(b"mdat", b"CODE")

    assert clean_heic(whole(1))[0] == whole(1)
    with pytest.raises(UnprocessableError, match="in its place"):
        clean_heic(whole(1, 99))
