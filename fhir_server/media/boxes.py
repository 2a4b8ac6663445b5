"""The boxes that MP4, QuickTime and HEIC files are made of.

ISO/IEC 14496-12 section 4.2: length, four letters, content; a length of 1 is followed by one of 64 bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.kernel.errors import UnprocessableError

MOST_BOXES = 10_000
HEADER, LONG_HEADER = 8, 16
_IS_LONG, _TO_THE_END = 1, 0


@dataclass(frozen=True, slots=True)
class Box:
    """Its content lies from `body` to `end`."""

    kind: bytes
    start: int
    body: int
    end: int

    def of(self, data: bytes | bytearray) -> bytes:
        """Its content."""
        return bytes(data[self.body : self.end])


def box_at(header: bytes, at: int, end: int) -> Box:
    """The box that begins at this place, from its first 16 bytes. Raises UnprocessableError where it does not fit."""
    length, body = int.from_bytes(header[:4]), at + HEADER
    if length == _IS_LONG:
        length, body = int.from_bytes(header[HEADER:LONG_HEADER]), at + LONG_HEADER
    elif length == _TO_THE_END:
        length = end - at
    if len(header) < HEADER or body > at + length or at + length > end:
        raise UnprocessableError("The file is cut off, or a box of it claims a length that it does not have.")
    return Box(header[4:HEADER], at, body, at + length)


def boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[Box]:
    """Each box in a stretch of bytes, which they fill."""
    at = start
    for _ in range(MOST_BOXES):
        if at >= end:
            return
        found = box_at(bytes(data[at : min(at + LONG_HEADER, end)]), at, end)
        yield found
        at = found.end
    raise UnprocessableError(f"The file has more than {MOST_BOXES} boxes in one place.")


def only(data: bytes | bytearray, inside: Box, kind: bytes, skip: int = 0) -> Box | None:
    """The first box of a kind inside another; `skip` bytes of that other's content come before its boxes."""
    return next((box for box in boxes(data, inside.body + skip, inside.end) if box.kind == kind), None)


def blank(data: bytearray, box: Box) -> None:
    """Free space of the same length: nothing after it moves."""
    data[box.start + 4 : box.start + HEADER] = b"free"
    data[box.body : box.end] = bytes(box.end - box.body)


def made(kind: bytes, content: bytes) -> bytes:
    return (len(content) + HEADER).to_bytes(4) + kind + content


def free(length: int) -> bytes:
    """Free space that takes so many bytes, 8 or more."""
    return made(b"free", bytes(length - HEADER))
