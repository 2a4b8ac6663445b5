"""JPEG without its metadata, byte for byte the same picture.

ITU-T T.81 Annex B (markers), T.871 (JFIF), ICC.1 Annex B.4, T.872 (Adobe). A segment is kept only when decoding or
colour needs it; whatever is not known is dropped.
"""

import re
from collections.abc import Iterator

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.colour_profile import clean_profile_segments
from fhir_server.media.orientation import UPRIGHT, minimal_exif, orientation

MOST_SEGMENTS = 10_000
_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
_APP0, EXIF_MARKER, _APP2, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, _SOS})
_AFTER_CODED_DATA = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FILL = re.compile(rb"\xff+")
_JFIF, _ADOBE, _ICC, EXIF = b"JFIF\x00", b"Adobe", b"ICC_PROFILE\x00", b"Exif\x00\x00"
_JFIF_FIXED, _ADOBE_LENGTH = 12, 12


def clean_jpeg(data: bytes) -> bytes:
    """The same picture without Exif, XMP, IPTC, comments, thumbnails and whatever stands after its end.

    Kept: JFIF (less its thumbnail), the ICC profile, Adobe's colour transform, and the orientation, in an Exif block of
    its own. Raises UnprocessableError for what is not one whole JPEG.
    """
    if not data.startswith(_SOI):
        raise UnprocessableError("The JPEG does not begin with its start marker.")
    first: list[bytes | memoryview] = []
    kept: list[bytes | memoryview] = []
    profile: list[tuple[int, bytes]] = []
    turned = None
    frames = scans = 0
    for marker, payload, coded in segments(data):
        if marker == EXIF_MARKER and turned is None and payload.startswith(EXIF):
            turned = orientation(payload)
        frames += marker in FRAMES
        scans += marker == _SOS
        wanted = _wanted(marker, payload)
        if wanted is not None and marker == _APP2:
            # Its place is known, its content once all of the profile is.
            profile.append((len(kept), wanted))
            kept.append(b"")
        elif wanted is not None:
            target = first if marker == _APP0 and not kept else kept
            target += (_segment(marker, wanted), coded)
    if not frames or not scans:
        raise UnprocessableError("The JPEG holds no picture.")
    for (place, _), payload in zip(profile, clean_profile_segments([one for _, one in profile]), strict=False):
        kept[place] = _segment(_APP2, payload)
    exif = [_segment(EXIF_MARKER, EXIF + minimal_exif(turned))] if turned is not None and turned != UPRIGHT else []
    return b"".join((_SOI, *first, *exif, *kept, b"\xff\xd9"))


def segments(data: bytes) -> Iterator[tuple[int, bytes, memoryview]]:
    """Each segment up to the end marker: marker, payload, and the coded data that follows a start of scan."""
    at, whole = len(_SOI), memoryview(data)
    for _ in range(MOST_SEGMENTS):
        marker, at = _marker(data, at)
        if marker == _EOI:
            return
        length = int.from_bytes(data[at : at + 2])
        end = at + length
        if length < 2 or end > len(data):  # noqa: PLR2004  the length counts its own two bytes
            raise UnprocessableError("A segment of the JPEG claims a length that it does not have.")
        after = _end_of_coded_data(data, end) if marker == _SOS else end
        yield marker, data[at + 2 : end], whole[end:after]
        at = after
    raise UnprocessableError(f"The JPEG has more than {MOST_SEGMENTS} segments.")


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at this place, past any fill bytes, and where its length begins."""
    fill = _FILL.match(data, at)
    after = fill.end() if fill else at
    if after >= len(data):
        raise UnprocessableError("The JPEG is cut off: its end marker is missing.")
    if after == at or data[after] == 0:
        raise UnprocessableError("The JPEG has bytes between its segments that belong to none.")
    return data[after], after + 1


def _end_of_coded_data(data: bytes, at: int) -> int:
    found = _AFTER_CODED_DATA.search(data, at)
    if found is None:
        raise UnprocessableError("The JPEG is cut off: its end marker is missing.")
    return found.start()


def _wanted(marker: int, payload: bytes) -> bytes | None:
    """What stays of a segment; None when all of it goes."""
    if marker in FRAMES or marker in _TABLES:
        return payload
    if marker == _APP0 and payload.startswith(_JFIF) and len(payload) >= _JFIF_FIXED:
        return payload[:_JFIF_FIXED] + b"\x00\x00"
    if marker == _APP2 and payload.startswith(_ICC):
        return payload
    if marker == _APP14 and payload.startswith(_ADOBE) and len(payload) >= _ADOBE_LENGTH:
        return payload[:_ADOBE_LENGTH]
    if _APP0 <= marker <= _APP15 or marker == _COM:
        return None
    raise UnprocessableError("The JPEG has a marker that this server does not know.")


def _segment(marker: int, payload: bytes) -> bytes:
    return b"\xff" + bytes((marker,)) + (len(payload) + 2).to_bytes(2) + payload
