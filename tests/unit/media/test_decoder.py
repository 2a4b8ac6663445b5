"""What native decoders open, and what they refuse; in a process of its own, and here in this one."""

import resource
import sys
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from fhir_server.kernel import json
from fhir_server.kernel.errors import NotSupportedError, UnprocessableError
from fhir_server.media import apart, decoder
from fhir_server.media.apart import opened_apart
from fhir_server.media.dicom import clean_dicom
from fhir_server.media.formats import HEIC, MP4, recognise
from tests.unit.media import coded
from tests.unit.media.drawn import face, portrait
from tests.unit.media.films import heic as no_heic
from tests.unit.media.test_dicom import dicom, wrapped

for library in ("pi_heif", "numpy", "cv2"):
    pytest.importorskip(library, reason="The extra `pictures` is not installed.")

GREY = bytes(range(0, 160, 10))
ORANGE = (197, 77, 0)
HOSTILE = [b"", b"no picture", coded.HEIC[:200], coded.VIDEO[:700], no_heic(), dicom()[:300], bytes(5_000)]


def unlimited(what: int, most: tuple[int, int]) -> None:
    """This process is to live on."""


def decoded(kind: str, data: bytes, longest: int = 0) -> Image.Image:
    """By the program itself, without its limits."""
    told = BytesIO()
    assert decoder.main(kind, longest, BytesIO(data), told, unlimited) == 0
    return Image.open(told, formats=("PNG",))


def colours(shown: Image.Image) -> list[int]:
    return list(shown.getchannel("R").tobytes())


def test_the_files_are_what_they_seem() -> None:
    assert (recognise(coded.HEIC), recognise(coded.VIDEO)) == (HEIC, MP4)


def test_a_heic_is_drawn_within_the_edge_that_is_wanted() -> None:
    whole, small = decoded("heic", coded.HEIC), decoded("heic", coded.HEIC, 32)

    assert (whole.size, small.size) == ((64, 48), (32, 24))


def test_the_first_picture_of_a_video_is_drawn() -> None:
    shown = decoded("video", coded.VIDEO)

    assert (shown.size, shown.getpixel((10, 10))) == ((64, 48), ORANGE)


def test_a_grey_dicom_is_drawn_as_it_is() -> None:
    assert colours(decoded("dicom", dicom(PixelData=GREY))) == list(GREY)


def test_a_dicom_whose_lightest_is_zero_is_turned() -> None:
    turned = decoded("dicom", dicom(PixelData=GREY, PhotometricInterpretation="MONOCHROME1"))

    assert colours(turned) == [255 - value for value in GREY]


def test_a_deep_dicom_is_drawn_from_its_darkest_to_its_lightest() -> None:
    deep = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
    pixels = b"".join(value.to_bytes(2, "little") for value in range(1000, 1016))

    assert colours(decoded("dicom", dicom(PixelData=pixels, **deep))) == [17 * value for value in range(16)]


def test_a_dicom_all_of_one_value_is_black() -> None:
    deep = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}

    assert set(colours(decoded("dicom", dicom(PixelData=b"\x07\x00" * 16, **deep)))) == {0}


def test_the_first_frame_of_a_coloured_dicom_is_drawn() -> None:
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "NumberOfFrames": 2}

    shown = decoded("dicom", dicom(PixelData=bytes(ORANGE) * 16 + bytes(48), **colour))

    assert shown.getpixel((3, 3)) == ORANGE


def test_a_dicom_with_a_palette_is_drawn_in_its_colours() -> None:
    table = {"RedPalette": (200, 9), "GreenPalette": (80, 9), "BluePalette": (0, 9)}
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in table.items():
        palette[f"{name}ColorLookupTableDescriptor"] = [2, 0, 16]
        palette[f"{name}ColorLookupTableData"] = b"".join((value * 257).to_bytes(2, "little") for value in values)

    shown = decoded("dicom", dicom(PixelData=bytes(15) + b"\x01", **palette))

    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((200, 80, 0), (9, 9, 9))


def test_a_palette_of_eight_bits_is_taken_as_it_is() -> None:
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, value in (("Red", b"\x01\xc8"), ("Green", b"\x02\x50"), ("Blue", b"\x03\x00")):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 8]
        palette[f"{name}PaletteColorLookupTableData"] = value

    shown = decoded("dicom", dicom(PixelData=bytes(15) + b"\x01", **palette))

    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((1, 2, 3), (200, 80, 0))


def test_a_jpeg_inside_a_dicom_is_drawn() -> None:
    assert decoded("dicom", clean_dicom(wrapped(face()))[0], 200).size == (150, 200)


def test_a_transparent_picture_stays_transparent() -> None:
    written = BytesIO()
    Image.new("RGBA", (4, 4), (1, 2, 3, 100)).save(written, "PNG")

    kept = Image.open(BytesIO(decoder._png(Image.open(written), 0)))

    assert kept.mode == "RGBA"


def test_a_drawn_face_is_found() -> None:
    told = BytesIO()

    assert decoder.main("faces", 0, BytesIO(portrait()), told, unlimited) == 0
    left, top, width, height = max(json.decode(told.getvalue()), key=lambda box: box[2])
    eyes = (130, 205, 270, 230)
    assert left < eyes[0]
    assert eyes[2] < left + width
    assert top < eyes[1]
    assert eyes[3] < top + height


def test_a_wall_has_no_face() -> None:
    written = BytesIO()
    Image.new("RGB", (300, 300), "grey").save(written, "PNG")

    assert json.decode(decoder.faces(written.getvalue())) == []


@pytest.mark.parametrize("kind", ["heic", "dicom", "video", "faces", "another"])
def test_what_is_damaged_fails_without_a_word(kind: str) -> None:
    for data in HOSTILE:
        told = BytesIO()

        assert decoder.main(kind, 0, BytesIO(data), told, unlimited) == decoder.FAILED
        assert told.getvalue() == b""


def test_a_dicom_of_too_many_pixels_is_not_decoded() -> None:
    huge = dicom(Rows=60_000, Columns=60_000)

    assert decoder.main("dicom", 0, BytesIO(huge), BytesIO(), unlimited) == decoder.FAILED


def test_limits_are_set_before_a_byte_is_read() -> None:
    given = BytesIO(coded.HEIC)
    found: dict[int, tuple[int, int]] = {}

    def limit(what: int, most: tuple[int, int]) -> None:
        assert given.tell() == 0
        found[what] = most

    decoder.main("heic", 0, given, BytesIO(), limit)

    assert found[resource.RLIMIT_CPU] == (decoder.SECONDS, decoder.SECONDS)
    assert found[resource.RLIMIT_AS] == (decoder.MOST_MEMORY, decoder.MOST_MEMORY)
    assert {resource.RLIMIT_FSIZE, resource.RLIMIT_CORE} < found.keys()


def test_a_decoder_that_is_not_installed_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif.as_plugin", None)

    assert decoder.main("heic", 0, BytesIO(coded.HEIC), BytesIO(), unlimited) == decoder.MISSING


def test_the_program_takes_its_file_from_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = BytesIO(b"no picture")

    monkeypatch.setattr(sys, "argv", ["decoder", "heic", "0"])
    monkeypatch.setattr(sys, "stdin", Pipe)
    monkeypatch.setattr(resource, "setrlimit", unlimited)
    monkeypatch.setattr(decoder.main, "__defaults__", (unlimited,))

    assert decoder.run() == decoder.FAILED


def test_a_heic_is_opened_in_a_process_of_its_own_and_what_is_hostile_is_refused() -> None:
    assert Image.open(BytesIO(opened_apart("heic", coded.HEIC))).size == (64, 48)
    with pytest.raises(UnprocessableError):
        opened_apart("video", HOSTILE[3])


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (f"import sys; sys.exit({decoder.MISSING})", NotSupportedError),
        ("import sys; sys.stdin.buffer.read()", UnprocessableError),
        ("import os; os._exit(0)", UnprocessableError),
        ("import os; os.kill(os.getpid(), 11)", UnprocessableError),
    ],
    ids=["missing", "silent", "deaf", "crashed"],
)
def test_a_decoder_that_fails_costs_its_own_process(
    monkeypatch: pytest.MonkeyPatch, program: str, error: type[Exception]
) -> None:
    monkeypatch.setattr(apart, "_PROGRAM", program)

    with pytest.raises(error):
        opened_apart("heic", bytes(4 << 20))


def test_a_decoder_that_answers_too_much_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PROGRAM", "import sys; sys.stdin.buffer.read(); sys.stdout.write('x' * 100)")
    monkeypatch.setattr(apart, "_MOST_ANSWERED", 10)

    with pytest.raises(UnprocessableError):
        opened_apart("heic", b"")


def test_a_decoder_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PROGRAM", "import time; time.sleep(600)")

    with pytest.raises(UnprocessableError):
        opened_apart("heic", b"", seconds=0.01)


def test_a_decoder_learns_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_SERVER_ROOT_KEY_FILE", "secret")
    monkeypatch.setattr(apart, "_PROGRAM", "import os, sys; sys.stdin.read(); print(sorted(os.environ))")

    assert b"FHIR_SERVER" not in opened_apart("heic", b"")
