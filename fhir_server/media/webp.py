"""WebP without its metadata, byte for byte the same picture.

RFC 9649 section 2. Chunks that are not known are dropped, inside animation frames as well.
"""

from collections.abc import Iterator

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.colour_profile import clean_profile
from fhir_server.media.orientation import UPRIGHT, minimal_exif, orientation

MOST_CHUNKS = 100_000
_RIFF_HEADER, _CHUNK_HEADER = 12, 8
_BITSTREAMS = frozenset({b"VP8 ", b"VP8L"})
_PICTURES = _BITSTREAMS | {b"ANMF"}
_KEPT = _PICTURES | {b"ALPH", b"ANIM"}
_IN_FRAME = _BITSTREAMS | {b"ALPH"}
_FRAME_HEADER = 16
_EXTENDED_LENGTH = 10
_HAS_EXIF, _HAS_PROFILE, _OF_THE_PICTURE = 0x08, 0x20, 0x32


def clean_webp(data: bytes) -> bytes:
    """The same picture without Exif, XMP and unknown chunks, and without whatever stands after its end.

    Of Exif the orientation stays. Raises UnprocessableError for what is not one whole WebP.
    """
    size = int.from_bytes(data[4:8], "little")
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or size % 2:
        raise UnprocessableError("The WebP does not begin with its header.")
    end = size + 8
    if end > len(data):
        raise UnprocessableError("The WebP is cut off, or claims a length that it does not have.")
    extended: bytes | None = None
    kept: list[bytes] = []
    turned = UPRIGHT
    pictures = 0
    for place, (name, content) in enumerate(chunks(data, _RIFF_HEADER, end)):
        if name == b"VP8X":
            extended = _extended(place, content)
        elif name == b"ICCP":
            profile = clean_profile(content)
            kept += [] if profile is None else [_chunk(name, profile)]
        elif name in _KEPT:
            kept.append(_chunk(name, _frame(content) if name == b"ANMF" else content))
        elif name == b"EXIF":
            turned = orientation(content)
        pictures += name in _PICTURES
    if not pictures:
        raise UnprocessableError("The WebP holds no picture.")
    return _container(extended, kept, turned)


def content(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of a WebP that was found whole."""
    return chunks(data, _RIFF_HEADER, int.from_bytes(data[4:8], "little") + 8)


def _container(extended: bytes | None, kept: list[bytes], turned: int) -> bytes:
    parts = list(kept)
    if extended is not None:
        flags = extended[0] & _OF_THE_PICTURE
        if not any(part.startswith(b"ICCP") for part in kept):
            flags &= ~_HAS_PROFILE
        if turned != UPRIGHT:
            flags |= _HAS_EXIF
            parts.append(_chunk(b"EXIF", minimal_exif(turned)))
        parts.insert(0, _chunk(b"VP8X", bytes((flags,)) + extended[1:]))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _extended(place: int, content: bytes) -> bytes:
    if place or len(content) != _EXTENDED_LENGTH:
        raise UnprocessableError("The WebP has an extended header that is none, or not in the first place.")
    return content


def _frame(content: bytes) -> bytes:
    """An animation frame: its 16 bytes, then chunks of its own."""
    inner = chunks(content, _FRAME_HEADER, len(content))
    return content[:_FRAME_HEADER] + b"".join(_chunk(name, part) for name, part in inner if name in _IN_FRAME)


def chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk in a stretch of bytes; each is padded to an even length."""
    for _ in range(MOST_CHUNKS):
        if at == end:
            return
        start = at + _CHUNK_HEADER
        length = int.from_bytes(data[at + 4 : start], "little")
        if start + length + length % 2 > end:
            raise UnprocessableError("The WebP is cut off, or a chunk claims a length that it does not have.")
        yield data[at : at + 4], data[start : start + length]
        at = start + length + length % 2
    raise UnprocessableError(f"The WebP has more than {MOST_CHUNKS} chunks.")


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\x00" * (len(content) % 2)
