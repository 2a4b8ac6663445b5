"""What a file is, told from its bytes."""

import struct

import pytest

from fhir_server.media import formats
from fhir_server.media.formats import Format, recognise
from tests.unit.media.pictures import BITSTREAM, jpeg, png, webp

STL_TRIANGLES = bytes(80) + struct.pack("<I", 2) + bytes(100)
BITMAP = b"BM" + struct.pack("<IHHIIii", 70, 0, 0, 54, 40, 1, 1) + bytes(44)


def box(brand: bytes, *others: bytes) -> bytes:
    content = brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(content) + 8) + b"ftyp" + content


PHOTOS = [
    (jpeg(), formats.JPEG),
    (png(), formats.PNG),
    (webp(BITSTREAM), formats.WEBP),
    (b"GIF89a\x01\x00\x01\x00", formats.GIF),
    (b"II*\x00\x08\x00\x00\x00", formats.TIFF),
    (b"MM\x00*\x00\x00\x00\x08", formats.TIFF),
    (BITMAP, formats.BMP),
    (box(b"heic", b"mif1"), formats.HEIC),
    (box(b"mif1", b"heic"), formats.HEIC),
    (box(b"mif1", b"avif"), formats.AVIF),
    (box(b"avif"), formats.AVIF),
    (box(b"isom", b"mp42"), formats.MP4),
    (box(b"qt  "), formats.QUICKTIME),
    (box(b"crx "), formats.RAW),
    (struct.pack(">I", 8) + b"wide" + bytes(20), formats.QUICKTIME),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", formats.WEBM),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", formats.MATROSKA),
    (b"RIFF\x00\x00\x00\x00AVI LIST", formats.AVI),
    ((b"\x47" + bytes(187)) * 3, formats.MPEG_STREAM),
    (bytes(128) + b"DICM\x02\x00\x00\x00UL", formats.DICOM),
    (b"\x02\x00\x00\x00UL\x04\x00\xc0\x00\x00\x00", formats.DICOM),
    (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", formats.DICOM),
    (b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00", formats.GLB),
    (STL_TRIANGLES, formats.STL),
    (b"solid face\n  facet normal 0 0 1\n    outer loop\n", formats.STL),
    (b"# scan\nmtllib face.mtl\no head\nv 0.1 -2 3.5e-2\nvn 0 0 1\nf 1//1 1//1 1//1\n", formats.OBJ),
    (b"ply\nformat ascii 1.0\n", formats.PLY),
    (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', formats.SVG),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", formats.JPEG_XL),
    (b"8BPS\x00\x01", formats.PSD),
]

NO_PHOTOS = [
    b"",
    b"\xff",
    b"Consent to photography, signed by the patient.",
    b'{"resourceType":"Patient"}',
    b"<ClinicalDocument xmlns='urn:hl7-org:v3'><svgs/></ClinicalDocument>",
    b"BMI 22.4, blood pressure 118/76, no contraindication found.",
    b"RIFF\x24\x00\x00\x00WAVEfmt ",
    b"v 1.0\nversion two of the form\n",
    b"solid advice: drink water after the treatment",
    b"\x00\x00\x00\x20free text",
    b"GGG",
    bytes(200),
]


@pytest.mark.parametrize(("data", "expected"), PHOTOS, ids=lambda value: getattr(value, "media_type", ""))
def test_a_photo_is_recognised_by_its_bytes(data: bytes, expected: Format) -> None:
    found = recognise(data)

    assert found == expected
    assert found.is_photo


@pytest.mark.parametrize("data", NO_PHOTOS)
def test_what_is_no_photo_is_not_taken_for_one(data: bytes) -> None:
    assert recognise(data) is None


def test_a_pdf_is_known_and_no_photo() -> None:
    assert recognise(b"%PDF-1.7\n%\xe2\xe3") == formats.PDF
    assert recognise(b"junk before\n%PDF-1.4") == formats.PDF
    assert not formats.PDF.is_photo


def test_sound_is_no_photo() -> None:
    found = recognise(box(b"M4A ", b"isom"))

    assert found == formats.MP4_AUDIO
    assert not found.is_photo


def test_only_formats_that_can_be_stripped_are_cleanable() -> None:
    every = [value for value in vars(formats).values() if isinstance(value, Format)]

    cleanable = {found.media_type for found in every if found.cleanable}
    assert cleanable == {
        *("image/gif", "image/heic", "image/jpeg", "image/png", "image/webp", "application/dicom"),
        *("model/gltf-binary", "model/obj", "model/stl", "video/mp4", "video/quicktime"),
    }
    assert all(found.is_photo for found in every if found.cleanable)


def test_comments_without_end_do_not_slow_the_look_at_a_drawing() -> None:
    assert recognise(b"<!---->" * 5000) is None
    assert recognise(b"<?xml ?>" * 5000) is None
    assert recognise(b"v 1 1 1" * 5000 + b"!") is None
