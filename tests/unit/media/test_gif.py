"""A GIF keeps its pictures and their timing, and nothing else that speaks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats, gif
from fhir_server.media.metadata import clean
from tests.unit.media.pictures import GIF_CONTROL, GIF_IMAGE, GIF_LOOP, GIF_SCREEN, PLACE, gif_extension
from tests.unit.media.pictures import gif as made

COMMENT = gif_extension(0xFE, b"taken at home", PLACE)
XMP = b"\x21\xff\x0bXMP DataXMP" + gif_extension(0, b"<x:xmpmeta/>" + PLACE)[2:]
CAPTION = gif_extension(0x01, bytes(12), PLACE)
LOCAL_TABLE = GIF_IMAGE[:9] + b"\x80" + bytes(6) + GIF_IMAGE[10:]


def test_t33_what_a_gif_tells_besides_its_pictures_goes_in_and_does_not_come_out() -> None:
    dirty = made(COMMENT, GIF_LOOP, XMP, GIF_CONTROL, COMMENT, GIF_IMAGE, CAPTION, LOCAL_TABLE, after=PLACE)

    cleaned = clean(dirty, formats.GIF)

    assert cleaned == made(GIF_LOOP, GIF_CONTROL, GIF_IMAGE, LOCAL_TABLE)
    assert clean(cleaned, formats.GIF) == cleaned
    assert formats.recognise(cleaned) is formats.GIF


def test_the_timing_of_a_dropped_caption_does_not_act_on_the_next_picture() -> None:
    assert clean(made(GIF_IMAGE, GIF_CONTROL, CAPTION, GIF_IMAGE), formats.GIF) == made(GIF_IMAGE, GIF_IMAGE)


def test_a_loop_that_carries_more_is_no_loop() -> None:
    stuffed = gif_extension(0xFF, b"NETSCAPE2.0", b"\x01\x00\x00", PLACE)

    assert clean(made(stuffed, GIF_IMAGE), formats.GIF) == made(GIF_IMAGE)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GIF89a", "signature"),
        (GIF_SCREEN, "cut off"),
        (GIF_SCREEN + b"\x2c\x00", "cut off"),
        (GIF_SCREEN + GIF_IMAGE, "cut off"),
        (GIF_SCREEN + GIF_IMAGE[:-2], "claims a length"),
        (made(b"\x99", GIF_IMAGE), "none"),
        (made(gif_extension(0xF9, b"abc"), GIF_IMAGE), "control"),
        (made(), "no picture"),
        (made(COMMENT), "no picture"),
    ],
)
def test_what_is_not_one_whole_gif_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UnprocessableError, match=why):
        clean(data, formats.GIF)


def test_blocks_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gif, "MOST_BLOCKS", 3)

    with pytest.raises(UnprocessableError, match="more than 3"):
        clean(made(*[GIF_IMAGE] * 4), formats.GIF)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=60), at=st.integers(0, 40))
def test_a_damaged_gif_is_cleaned_or_refused_and_never_fails(data: bytes, at: int) -> None:
    whole = made(GIF_CONTROL, GIF_IMAGE)

    try:
        cleaned = clean(whole[:at] + data, formats.GIF)
    except UnprocessableError:
        return
    assert clean(cleaned, formats.GIF) == cleaned
