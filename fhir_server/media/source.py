"""Bytes that are read by range, wherever they lie, and a plan of what is kept of them.

sealed-storage section 5: memory stays flat however long a video is. A plan says what the cleaned bytes are made of;
what is copied passes through a window of a fixed size.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

WINDOW = 1 << 20


class Source(Protocol):
    """`size` bytes."""

    @property
    def size(self) -> int: ...

    async def read(self, start: int, stop: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]


class Copied(NamedTuple):
    """A stretch of the source, as it is."""

    start: int
    stop: int


class Blank(NamedTuple):
    """So many zeros: what stood here is not kept, and everything after it stays in its place."""

    length: int


Plan: TypeAlias = tuple[bytes | Copied | Blank, ...]


def length_of(plan: Plan) -> int:
    return sum(_length(piece) for piece in plan)


async def carried_out(source: Source, plan: Plan) -> AsyncIterator[bytes]:
    """What the plan makes of the source, a window at a time."""
    window = Window(source)
    for piece in plan:
        if isinstance(piece, bytes):
            yield piece
            continue
        for start, stop in _stretches(_length(piece)):
            if isinstance(piece, Copied):
                yield await window.read(piece.start + start, piece.start + stop)
            else:
                yield bytes(stop - start)


class Window:
    """Reads that lie close together fetch the source once."""

    def __init__(self, source: Source) -> None:
        self._source, self._at, self._held = source, 0, b""

    async def read(self, start: int, stop: int) -> bytes:
        """At most `WINDOW` bytes."""
        if not self._at <= start <= stop <= self._at + len(self._held):
            self._at = start
            self._held = await self._source.read(start, min(start + WINDOW, self._source.size))
        return self._held[start - self._at : stop - self._at]


def _length(piece: bytes | Copied | Blank) -> int:
    if isinstance(piece, Copied):
        return piece.stop - piece.start
    return piece.length if isinstance(piece, Blank) else len(piece)


def _stretches(length: int) -> Iterable[tuple[int, int]]:
    return ((start, min(start + WINDOW, length)) for start in range(0, length, WINDOW))
