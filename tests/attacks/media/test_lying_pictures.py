"""Pictures that are damaged, lie about their lengths, or carry something else along."""

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats
from fhir_server.media.metadata import clean
from tests.unit.media import pictures
from tests.unit.media.pictures import BITSTREAM, PLACE, exif_segment, extended, jpeg, png, png_chunk, segment, webp

WHOLE = {
    formats.JPEG: jpeg(segment(0xE0, pictures.JFIF), exif_segment(6), segment(0xFE, PLACE)),
    formats.PNG: png(png_chunk(b"tEXt", PLACE), png_chunk(b"gAMA", b"\x00\x00\xb1\x8f")),
    formats.WEBP: webp(extended(0x0C), BITSTREAM, pictures.webp_chunk(b"EXIF", pictures.exif())),
}
A_ZIP = b"PK\x03\x04\x14\x00 holding " + PLACE
A_PAGE = b"<html><script>alert(1)</script> " + PLACE

LIES = {
    "an APP length beyond the file": (
        formats.JPEG,
        pictures.SOI + b"\xff\xe1\xff\xffExif\x00\x00" + pictures.PICTURE + pictures.EOI,
        "claims a length",
    ),
    "an APP length below its own two bytes": (formats.JPEG, jpeg(b"\xff\xe1\x00\x01"), "claims a length"),
    "an APP length that skips half of a table": (
        formats.JPEG,
        jpeg(b"\xff\xe1\x00\x10" + segment(0xFE, b"short")),
        "belong to none",
    ),
    "bytes between two segments": (formats.JPEG, jpeg(A_PAGE), "belong to none"),
    "a reserved marker": (formats.JPEG, jpeg(segment(0xF0, b"x")), "does not know"),
    "JPEG-LS in the name of JPEG": (formats.JPEG, jpeg(segment(0xF7, pictures.FRAME)), "does not know"),
    "no start marker": (formats.JPEG, b"\xff\xe0" + jpeg(), "start marker"),
    "a start and an end and nothing between": (formats.JPEG, pictures.SOI + pictures.EOI, "no picture"),
    "tables without a scan": (formats.JPEG, jpeg(picture=segment(0xC0, pictures.FRAME)), "no picture"),
    "a scan without end": (formats.JPEG, pictures.SOI + pictures.PICTURE, "cut off"),
    "fill bytes without end": (formats.JPEG, pictures.SOI + b"\xff" * 100, "cut off"),
    "a chunk of four gigabytes": (formats.PNG, png(b"\xff\xff\xff\xfftEXt" + PLACE), "claims a length"),
    "a wrong check value": (formats.PNG, png(png_chunk(b"tEXt", PLACE)[:-1] + b"\x00"), "check value"),
    "a name that is none": (formats.PNG, png(png_chunk(b"t\x00Xt", PLACE)), "none"),
    "an unknown critical chunk": (formats.PNG, png(png_chunk(b"EVIL", PLACE)), "critical"),
    "two headers": (formats.PNG, png(pictures.HEADER), "first place"),
    "no header": (formats.PNG, pictures.PNG_START + pictures.PIXELS + png_chunk(b"IEND"), "first place"),
    "a header that is too long": (formats.PNG, pictures.PNG_START + png_chunk(b"IHDR", bytes(14)), "none"),
    "an end with content": (formats.PNG, png(pixels=pictures.PIXELS + png_chunk(b"IEND", PLACE)), "none"),
    "no pixels": (formats.PNG, png(pixels=b""), "no picture"),
    "half a signature": (formats.PNG, b"\x89PNG", "signature"),
    "a RIFF of four gigabytes": (formats.WEBP, b"RIFF\xfe\xff\xff\xffWEBP" + BITSTREAM, "claims a length"),
    "an odd RIFF length": (formats.WEBP, b"RIFF\x05\x00\x00\x00WEBPx", "header"),
    "a chunk beyond the RIFF": (formats.WEBP, webp(b"EXIF\xff\xff\xff\x7f" + PLACE + b"!"), "claims a length"),
    "an extended header in second place": (formats.WEBP, webp(BITSTREAM, extended(0)), "extended"),
    "a short extended header": (formats.WEBP, webp(pictures.webp_chunk(b"VP8X", b"\x00\x00")), "extended"),
    "a frame that is cut off": (formats.WEBP, webp(pictures.webp_chunk(b"ANMF", bytes(20))), "cut off"),
    "a frame shorter than its header": (formats.WEBP, webp(pictures.webp_chunk(b"ANMF", b"\x00\x00")), "cut off"),
    "a WebP without picture": (formats.WEBP, webp(extended(0)), "no picture"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_picture_that_lies_is_refused_in_precise_words(name: str) -> None:
    declared, data, words = LIES[name]

    with pytest.raises(UnprocessableError, match=words):
        clean(data, declared)


@pytest.mark.parametrize("format", WHOLE, ids=lambda found: found.media_type)
def test_a_picture_cut_off_anywhere_is_refused(format: formats.Format) -> None:
    whole = WHOLE[format]

    for length in range(len(whole)):
        with pytest.raises(UnprocessableError):
            clean(whole[:length], format)


@pytest.mark.parametrize("rider", [A_ZIP, A_PAGE, jpeg()], ids=["zip", "page", "second picture"])
@pytest.mark.parametrize("format", WHOLE, ids=lambda found: found.media_type)
def test_a_file_that_rides_behind_the_picture_is_left_behind(format: formats.Format, rider: bytes) -> None:
    assert clean(WHOLE[format] + rider, format) == clean(WHOLE[format], format)


def test_a_page_inside_a_comment_is_gone() -> None:
    assert b"script" not in clean(jpeg(segment(0xFE, A_PAGE), segment(0xE4, A_PAGE)), formats.JPEG)


def test_a_thumbnail_inside_exif_shows_nobody_any_more() -> None:
    uncropped = jpeg(segment(0xFE, PLACE))

    cleaned = clean(jpeg(exif_segment(3, thumbnail=uncropped)), formats.JPEG)

    assert cleaned.count(pictures.SOI) == 1
    assert pictures.PICTURE in cleaned
    assert PLACE not in cleaned


def test_an_exif_directory_that_points_everywhere_is_dropped_and_harmless() -> None:
    endless = (
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x00\x01\x00\x03\xff\xff\xff\xff\xff\xff\xff\xff" * 5000
    )
    outside = b"Exif\x00\x00II*\x00\xff\xff\xff\xff"

    assert clean(jpeg(segment(0xE1, endless), segment(0xE1, outside)), formats.JPEG) == jpeg()


@pytest.mark.parametrize(
    ("format", "data"),
    [
        (formats.JPEG, pictures.SOI + segment(0xFE) * 2_000_000),
        (formats.JPEG, pictures.SOI + b"\xff" * 8_000_000),
        (formats.JPEG, jpeg(picture=segment(0xC0, pictures.FRAME) + pictures.scan(b"\xff\x00" * 4_000_000))[:-2]),
        (formats.PNG, pictures.PNG_START + pictures.HEADER + png_chunk(b"tEXt") * 700_000),
        (formats.WEBP, webp(pictures.webp_chunk(b"note", b"") * 1_000_000)),
    ],
    ids=["jpeg segments", "jpeg fill bytes", "jpeg stuffing", "png chunks", "webp chunks"],
)
def test_millions_of_tiny_parts_are_refused_soon(format: formats.Format, data: bytes) -> None:
    started = time.process_time()

    with pytest.raises(UnprocessableError):
        clean(data, format)

    assert time.process_time() - started < 2


def test_dimensions_beyond_reason_are_not_decoded_and_cost_nothing() -> None:
    for width, height in ((0x7FFFFFFF, 0x7FFFFFFF), (1, 1_000_000_000), (65_536, 1), (20_000, 20_000)):
        vast = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
        dirty = pictures.PNG_START + png_chunk(b"IHDR", vast) + pictures.PIXELS + png_chunk(b"IEND")

        with pytest.raises(UnprocessableError, match="more than"):
            clean(dirty, formats.PNG)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(WHOLE)), st.data())
def test_whatever_is_flipped_the_answer_is_a_picture_or_a_refusal(format: formats.Format, data: st.DataObject) -> None:
    whole = bytearray(WHOLE[format])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    try:
        cleaned = clean(bytes(whole), format)
    except UnprocessableError:
        return

    assert clean(cleaned, format) == cleaned


PARTS = st.one_of(
    st.builds(segment, st.sampled_from([*range(0xE0, 0xF0), 0xFE]), st.binary(max_size=40)),
    st.builds(exif_segment, st.integers(0, 9), little=st.booleans()),
    st.just(segment(0xDB, pictures.QUANTISATION)),
    st.just(segment(0xE0, pictures.JFIF)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=8), st.lists(PARTS, max_size=3), st.binary(max_size=50))
def test_whatever_surrounds_the_picture_its_coded_data_stays_and_a_second_cleaning_changes_nothing(
    before: list[bytes], between: list[bytes], after: bytes
) -> None:
    second = pictures.scan(b"\x55\xff\x00\xaa")
    cleaned = clean(jpeg(*before, picture=pictures.PICTURE + b"".join(between) + second, after=after), formats.JPEG)

    assert pictures.scan() in cleaned
    assert cleaned.endswith(second + pictures.EOI)
    assert PLACE not in cleaned
    assert clean(cleaned, formats.JPEG) == cleaned
