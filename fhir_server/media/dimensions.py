"""How large a picture says it is, and how large it may be: a few bytes can claim a thousand million pixels.

ITU-T T.81 B.2.2 (frame header), ISO/IEC 15948 11.2.2 (IHDR), RFC 9649 section 2.7, GIF89a section 18.
"""

from collections.abc import Callable, Mapping

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.formats import GIF, JPEG, PNG, WEBP, Format
from fhir_server.media.jpeg import FRAMES, segments

MOST_PIXELS = 120_000_000
MOST_EDGE = 65_535


def require_pixels(width: int, height: int, pictures: int = 1) -> None:
    """Raises UnprocessableError for none, and for too many."""
    if not (width and height and pictures):
        raise UnprocessableError("The picture has no pixels.")
    if max(width, height) > MOST_EDGE or width * height * pictures > MOST_PIXELS:
        raise UnprocessableError(f"The picture has more than {MOST_PIXELS} pixels, or an edge over {MOST_EDGE}.")


def require_sensible_size(cleaned: bytes, format: Format) -> None:
    """Of a picture that was cleaned: its first bytes are those of its header, nothing foreign stands before it."""
    for width, height in _SIZES[format](cleaned):
        require_pixels(width, height)


def _jpeg(data: bytes) -> list[tuple[int, int]]:
    frames = [payload for marker, payload, _ in segments(data) if marker in FRAMES]
    return [(int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])) for frame in frames]


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return _small(data, 24, 3) + 1, _small(data, 27, 3) + 1
    if kind == b"VP8L":
        bits = _small(data, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _small(data, 26, 2) & 0x3FFF, _small(data, 28, 2) & 0x3FFF


def _big(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4])


def _small(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")


_SIZES: Mapping[Format, Callable[[bytes], list[tuple[int, int]]]] = {
    GIF: lambda data: [(_small(data, 6, 2), _small(data, 8, 2))],
    JPEG: _jpeg,
    PNG: lambda data: [(_big(data, 16), _big(data, 20))],
    WEBP: lambda data: [_webp(data)],
}
