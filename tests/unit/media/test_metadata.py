"""A cleaned photo tells nothing but the picture."""

import struct

import pytest

from fhir_server.kernel.errors import TooLargeError, UnprocessableError
from fhir_server.media import formats
from fhir_server.media.metadata import MOST_BYTES, MOST_VIDEO_BYTES, clean, require_size
from fhir_server.media.orientation import minimal_exif, orientation
from tests.unit.media import pictures
from tests.unit.media.pictures import BITSTREAM, PICTURE, PLACE, exif, exif_segment, extended, jpeg, png, segment, webp

ICC = b"ICC_PROFILE\x00\x01\x01" + pictures.PROFILE


def test_t33_gps_exif_in_a_jpeg_goes_in_and_does_not_come_out() -> None:
    dirty = jpeg(segment(0xE0, pictures.JFIF), exif_segment())
    assert PLACE in dirty

    cleaned = clean(dirty, formats.JPEG)

    assert cleaned == jpeg(segment(0xE0, pictures.JFIF))


def test_t33_gps_exif_in_a_png_goes_in_and_does_not_come_out() -> None:
    dirty = png(pictures.png_chunk(b"eXIf", exif()))
    assert PLACE in dirty

    assert clean(dirty, formats.PNG) == png()


def test_t33_gps_exif_in_a_webp_goes_in_and_does_not_come_out() -> None:
    dirty = webp(extended(0x08), BITSTREAM, pictures.webp_chunk(b"EXIF", b"Exif\x00\x00" + exif()))
    assert PLACE in dirty

    assert clean(dirty, formats.WEBP) == webp(extended(0), BITSTREAM)


def test_a_jpeg_keeps_its_picture_and_loses_everything_else_that_speaks() -> None:
    dirty = jpeg(
        segment(0xE0, pictures.JFIF),
        segment(0xE0, b"JFXX\x00\x10" + PLACE),
        exif_segment(),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta/>" + PLACE),
        segment(0xE2, ICC),
        segment(0xE2, b"MPF\x00" + PLACE),
        segment(0xED, b"Photoshop 3.0\x008BIM" + PLACE),
        segment(0xEE, pictures.ADOBE + PLACE),
        segment(0xEB, PLACE),
        segment(0xFE, b"taken at home " + PLACE),
        after=b"\xff\xd8\xff\xe1second picture" + PLACE,
    )

    cleaned = clean(dirty, formats.JPEG)

    assert cleaned == jpeg(segment(0xE0, pictures.JFIF), segment(0xE2, ICC), segment(0xEE, pictures.ADOBE))


def test_a_thumbnail_inside_jfif_is_cut_off() -> None:
    with_thumbnail = pictures.JFIF[:12] + b"\x02\x02" + PLACE[:12]

    assert clean(jpeg(segment(0xE0, with_thumbnail)), formats.JPEG) == jpeg(segment(0xE0, pictures.JFIF))


def test_a_progressive_jpeg_keeps_all_of_its_scans_and_loses_a_comment_between_them() -> None:
    scans = PICTURE + segment(0xC4, pictures.HUFFMAN) + pictures.scan(b"\x01\x02\xff\x00")
    commented = PICTURE + segment(0xFE, PLACE) + segment(0xC4, pictures.HUFFMAN) + pictures.scan(b"\x01\x02\xff\x00")

    assert clean(jpeg(picture=commented), formats.JPEG) == jpeg(picture=scans)


def test_fill_bytes_before_a_marker_are_no_damage() -> None:
    assert clean(jpeg(b"\xff\xff\xff" + segment(0xFE, PLACE)[1:]), formats.JPEG) == jpeg()


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("turned", range(2, 9))
def test_a_picture_keeps_its_orientation_and_nothing_else_of_exif(turned: int, *, little: bool) -> None:
    block = exif(turned, little=little)

    as_jpeg = clean(jpeg(segment(0xE0, pictures.JFIF), exif_segment(turned, little=little)), formats.JPEG)
    as_png = clean(png(pictures.png_chunk(b"eXIf", block)), formats.PNG)
    as_webp = clean(webp(extended(0x1C), BITSTREAM, pictures.webp_chunk(b"EXIF", block)), formats.WEBP)

    kept = minimal_exif(turned)
    assert orientation(kept) == turned
    assert as_jpeg == jpeg(segment(0xE0, pictures.JFIF), segment(0xE1, b"Exif\x00\x00" + kept))
    assert as_png == png(pictures.png_chunk(b"eXIf", kept))
    assert as_webp == webp(extended(0x18), BITSTREAM, pictures.webp_chunk(b"EXIF", kept))


@pytest.mark.parametrize(
    "block", [b"", b"MM", b"XX\x00*", exif(1), exif(0), exif(9), exif(6)[:16], exif(6)[:4] + b"\xff" * 8]
)
def test_an_exif_block_without_a_usable_orientation_means_upright(block: bytes) -> None:
    assert orientation(block) == 1


def test_the_first_exif_block_decides_and_an_upright_one_leaves_no_trace() -> None:
    assert clean(jpeg(exif_segment(1), exif_segment(6)), formats.JPEG) == jpeg()


def test_a_png_keeps_what_it_is_drawn_with_and_loses_text_time_and_private_chunks() -> None:
    drawn = [pictures.png_chunk(name, b"\x01" * 4) for name in (b"gAMA", b"tRNS", b"pHYs", b"acTL")]
    spoken = [
        pictures.png_chunk(name, PLACE) for name in (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"sPLT", b"caBX", b"vpAg")
    ]

    assert clean(png(*spoken[:3], *drawn, *spoken[3:], after=PLACE), formats.PNG) == png(*drawn)


def test_a_webp_keeps_colour_alpha_and_frames_and_loses_xmp_and_unknown_chunks() -> None:
    frame = bytes(16) + BITSTREAM
    kept = (pictures.webp_chunk(b"ICCP", pictures.PROFILE), pictures.webp_chunk(b"ANIM", bytes(6)))
    dirty = webp(
        extended(0xFF),
        *kept,
        pictures.webp_chunk(b"ANMF", frame + pictures.webp_chunk(b"NOTE", PLACE)),
        pictures.webp_chunk(b"XMP ", PLACE),
        pictures.webp_chunk(b"note", PLACE),
        after=PLACE,
    )

    assert clean(dirty, formats.WEBP) == webp(extended(0x32), *kept, pictures.webp_chunk(b"ANMF", frame))


def test_a_simple_webp_stays_as_it_is() -> None:
    assert clean(webp(BITSTREAM), formats.WEBP) == webp(BITSTREAM)


def test_a_file_is_refused_before_it_is_looked_at_where_it_is_too_large() -> None:
    for format, most in ((formats.JPEG, MOST_BYTES), (formats.MP4, MOST_VIDEO_BYTES)):
        require_size(most, format)
        with pytest.raises(TooLargeError):
            require_size(most + 1, format)


@pytest.mark.parametrize("bitstream", [b"VP8 " + bytes(13), b"VP8 \x00\x00\x00\x00\x9d\x01\x2a\x00\x00\x00\x00"])
def test_a_lossy_webp_has_its_size_in_its_bitstream(bitstream: bytes) -> None:
    lossy = webp(pictures.webp_chunk(b"VP8 ", bytes(6) + struct.pack("<HH", 640, 480)))
    without = webp(pictures.webp_chunk(b"VP8 ", bitstream[4:14]))

    assert clean(lossy, formats.WEBP) == lossy
    with pytest.raises(UnprocessableError, match="no pixels"):
        clean(without, formats.WEBP)


@pytest.mark.parametrize("format", [formats.BMP, formats.TIFF, formats.AVIF, formats.PLY, formats.SVG, formats.PDF])
def test_a_format_that_cannot_be_cleaned_is_refused_in_words(format: formats.Format) -> None:
    with pytest.raises(UnprocessableError, match="cannot be removed; send JPEG, PNG, WebP, GIF"):
        clean(b"whatever", format)
