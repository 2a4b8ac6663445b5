"""A colour profile gives its colours and tells nothing else."""

import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from fhir_server.media import formats
from fhir_server.media.colour_profile import clean_profile, clean_profile_segments
from fhir_server.media.metadata import clean
from tests.unit.media import pictures
from tests.unit.media.drawn import face
from tests.unit.media.films import box, heic
from tests.unit.media.pictures import PLACE, jpeg, png, png_chunk, segment, webp, webp_chunk

PLAIN = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def spoken(profile: bytes = PLAIN) -> bytes:
    """With a private tag behind all others: a place, and the serial number of a screen."""
    count, said = int.from_bytes(profile[128:132]), b"mmod" + bytes(4) + PLACE
    entries = b"".join(
        profile[at : at + 4] + (int.from_bytes(profile[at + 4 : at + 8]) + 12).to_bytes(4) + profile[at + 8 : at + 12]
        for at in range(132, 132 + 12 * count, 12)
    )
    size = len(profile) + 12 + len(said)
    entry = b"mmod" + (len(profile) + 12).to_bytes(4) + len(said).to_bytes(4)
    head = size.to_bytes(4) + profile[4:48] + b"APPLana1" + profile[56:80] + b"anna" + bytes(44)
    return head + (count + 1).to_bytes(4) + entries + entry + profile[132 + 12 * count :] + said


SPOKEN = spoken()


def cleaned(profile: bytes = SPOKEN) -> bytes:
    found = clean_profile(profile)
    assert found is not None
    return found


def in_segments(profile: bytes, parts: int = 1) -> list[bytes]:
    length = -(-len(profile) // parts)
    pieces = [profile[at : at + length] for at in range(0, len(profile), length)]
    return [b"ICC_PROFILE\x00" + bytes((place, len(pieces))) + piece for place, piece in enumerate(pieces, 1)]


def test_t33_a_profile_loses_its_words_and_keeps_its_colours_and_its_length() -> None:
    found = cleaned()

    assert PLACE in SPOKEN
    assert PLACE not in found
    assert b"sRGB" not in found
    assert b"ana1" not in found
    assert len(found) == len(SPOKEN)
    assert cleaned(found) == found


def test_colours_come_out_the_same() -> None:
    source, target = (Image.open(BytesIO(face((30, 40)))).convert("RGB"), ImageCms.createProfile("LAB"))

    before, after = (
        ImageCms.profileToProfile(source, ImageCms.ImageCmsProfile(BytesIO(one)), target, outputMode="LAB")
        for one in (SPOKEN, cleaned())
    )

    assert before is not None
    assert after is not None
    assert before.tobytes() == after.tobytes()


def test_words_that_a_profile_must_have_are_empty() -> None:
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(cleaned()))).strip() == ""


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        PLACE * 20,
        PLAIN[:-1],
        PLAIN[:36] + b"Exif" + PLAIN[40:],
        PLAIN[:128] + b"\x00\x00\x00\xff" + PLAIN[132:],
        PLAIN[:128] + b"\xff\xff\xff\xff" + PLAIN[132:],
        PLAIN[:136] + b"\xff\xff\xff\xff" + PLAIN[140:],
        PLAIN[:136] + b"\x00\x00\x00\x08" + PLAIN[140:],
    ],
)
def test_what_is_no_profile_is_none(bad: bytes) -> None:
    assert clean_profile(bad) is None


def test_words_never_take_the_place_of_colours() -> None:
    """Two tags may share their bytes; what a colour is computed from wins, whichever comes first."""
    table = {PLAIN[at : at + 4]: at for at in range(132, 132 + 12 * int.from_bytes(PLAIN[128:132]), 12)}
    colour, words = (PLAIN[table[name] + 4 : table[name] + 12] for name in (b"rXYZ", b"cprt"))
    shared = PLAIN.replace(b"cprt" + words, b"cprt" + colour)
    place = int.from_bytes(colour[:4])

    assert cleaned(shared)[place : place + 20] == PLAIN[place : place + 20]


@pytest.mark.parametrize("parts", [1, 3])
def test_a_jpeg_keeps_the_colours_alone(parts: int) -> None:
    dirty = jpeg(*(segment(0xE2, one) for one in in_segments(SPOKEN, parts)))

    assert clean(dirty, formats.JPEG) == jpeg(*(segment(0xE2, one) for one in in_segments(cleaned(), parts)))


def test_exif_that_passes_for_a_profile_goes_from_every_segment() -> None:
    lies = [b"ICC_PROFILE\x00\x01\x02" + PLACE, b"ICC_PROFILE\x00\x02\x02" + pictures.exif()]

    assert clean(jpeg(*(segment(0xE2, lie) for lie in lies)), formats.JPEG) == jpeg()


def test_segments_out_of_order_are_no_profile() -> None:
    assert clean_profile_segments(in_segments(SPOKEN, 2)[::-1]) == []


def test_a_png_keeps_the_colours_alone() -> None:
    def chunk(name: bytes, profile: bytes) -> bytes:
        return png_chunk(b"iCCP", name + b"\x00\x00" + zlib.compress(profile))

    done = clean(png(chunk(b"Screen of Ana", SPOKEN)), formats.PNG)

    assert done == png(chunk(b"ICC", cleaned()))
    assert clean(done, formats.PNG) == done
    assert clean(png(chunk(b"x", PLACE), png_chunk(b"iCCP", b"x\x00\x00" + PLACE)), formats.PNG) == png()


def test_a_webp_keeps_the_colours_alone() -> None:
    def dressed(flags: int, *more: bytes) -> bytes:
        return webp(pictures.extended(flags), *more, pictures.BITSTREAM)

    assert clean(dressed(0x20, webp_chunk(b"ICCP", SPOKEN)), formats.WEBP) == dressed(
        0x20, webp_chunk(b"ICCP", cleaned())
    )
    assert clean(dressed(0x20, webp_chunk(b"ICCP", PLACE)), formats.WEBP) == dressed(0)


def test_a_heic_keeps_the_colours_alone() -> None:
    done = clean(heic(colour=box(b"colr", b"prof", SPOKEN)), formats.HEIC)
    lied = clean(heic(colour=box(b"colr", b"rICC", PLACE)), formats.HEIC)

    assert box(b"colr", b"prof", cleaned()) in done
    assert PLACE not in done + lied
    assert b"rICC" not in lied
