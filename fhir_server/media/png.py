"""PNG without its metadata, byte for byte the same picture.

W3C PNG (Third Edition), sections 5 (datastream) and 11 (chunks). A chunk is kept only when the picture needs it.
"""

import zlib
from collections.abc import Iterator

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.colour_profile import clean_profile
from fhir_server.media.orientation import UPRIGHT, minimal_exif, orientation

MOST_CHUNKS = 100_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_LENGTH = 13
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_RENDERING = frozenset(
    {b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs"}
)
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_KEPT = _CRITICAL | _RENDERING | _ANIMATION
_ANCILLARY = 0x20
_MOST_PROFILE = 4 << 20


def clean_png(data: bytes) -> bytes:
    """The same picture without text, times, Exif and private chunks, and without whatever stands after its end.

    Colour, transparency and animation stay; of Exif the orientation stays. Raises UnprocessableError for what is not
    one whole PNG.
    """
    if not data.startswith(_SIGNATURE):
        raise UnprocessableError("The PNG does not begin with its signature.")
    kept = [_SIGNATURE]
    turned = UPRIGHT
    pictures = 0
    for name, chunk in chunks(data):
        if (len(kept) == 1) != (name == b"IHDR"):
            raise UnprocessableError("The PNG does not have its header in the first place, once.")
        if name == b"eXIf":
            turned = orientation(chunk[8:-4])
        if name == b"iCCP":
            kept += _profile(chunk)
        elif name in _KEPT:
            kept.append(chunk)
        elif not name[0] & _ANCILLARY:
            raise UnprocessableError("The PNG has a critical chunk that this server does not know.")
        pictures += name == b"IDAT"
    if not pictures:
        raise UnprocessableError("The PNG holds no picture.")
    if turned != UPRIGHT:
        kept.insert(2, _chunk(b"eXIf", minimal_exif(turned)))
    return b"".join(kept)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk up to and with IEND: its name and all of its bytes, the check value verified."""
    at = len(_SIGNATURE)
    for _ in range(MOST_CHUNKS):
        length = int.from_bytes(data[at : at + 4])
        name = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise UnprocessableError("The PNG is cut off, or a chunk claims a length that it does not have.")
        if not name.isalpha() or (name == b"IHDR" and length != _HEADER_LENGTH) or (name == b"IEND" and length):
            raise UnprocessableError("The PNG has a chunk that is none.")
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise UnprocessableError("A chunk of the PNG does not agree with its check value.")
        yield name, data[at:end]
        if name == b"IEND":
            return
        at = end
    raise UnprocessableError(f"The PNG has more than {MOST_CHUNKS} chunks.")


def _profile(chunk: bytes) -> list[bytes]:
    """Without its name, and nothing where it is none; what it comes to unpacked is limited."""
    _, _, packed = chunk[8:-4].partition(b"\x00")
    try:
        profile = zlib.decompressobj().decompress(packed[1:], _MOST_PROFILE)
    except zlib.error:
        return []
    cleaned = clean_profile(profile)
    return [] if cleaned is None else [_chunk(b"iCCP", b"ICC\x00\x00" + zlib.compress(cleaned))]


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)
