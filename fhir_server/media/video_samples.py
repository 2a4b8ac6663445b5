"""Where in a video file the samples of its tracks lie.

ISO/IEC 14496-12 sections 8.7.3 (sizes), 8.7.4 (samples of a chunk), 8.7.5 (places of chunks).
"""

import struct
from collections.abc import Iterable, Iterator

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.boxes import Box, only

_WIDTHS = {b"stco": 4, b"co64": 8}


def stretches(data: bytearray, tracks: Iterable[Box]) -> list[tuple[int, int]]:
    """Where these tracks have their data, in order and joined where they touch."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(stretch for track in tracks for stretch in _of_track(data, track)):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


def _of_track(data: bytearray, track: Box) -> Iterator[tuple[int, int]]:
    table = track
    for kind in (b"mdia", b"minf", b"stbl"):
        table = _required(data, table, kind)
    places = _places(data, table)
    sizes = _Sizes(_required(data, table, b"stsz").of(data))
    first = 0
    for place, count in zip(places, _counts(_required(data, table, b"stsc").of(data), len(places)), strict=True):
        length = sizes.of(first, count)
        first += count
        if length:
            yield place, place + length


def _required(data: bytearray, outer: Box, kind: bytes) -> Box:
    found = only(data, outer, kind)
    if found is None:
        raise UnprocessableError("The index of the video lacks a table that says where its pictures are.")
    return found


def _places(data: bytearray, table: Box) -> tuple[int, ...]:
    for kind, width in _WIDTHS.items():
        if found := only(data, table, kind):
            content = found.of(data)
            return _numbers(content, 4, width, int.from_bytes(content[4:8]))
    raise UnprocessableError("The index of the video lacks a table that says where its pictures are.")


def _numbers(content: bytes, at: int, width: int, count: int) -> tuple[int, ...]:
    """So many numbers behind the count itself."""
    if at + 4 + count * width > len(content):
        raise UnprocessableError("A table in the index of the video is cut off.")
    return struct.unpack_from(f">{count}{'I' if width == 4 else 'Q'}", content, at + 4)  # noqa: PLR2004  bytes


def _counts(content: bytes, chunks: int) -> Iterator[int]:
    """How many samples each chunk has: runs of (first chunk from 1, samples in each, description)."""
    numbers = _numbers(content, 4, 4, 3 * int.from_bytes(content[4:8]))
    runs = [(numbers[at], numbers[at + 1]) for at in range(0, len(numbers), 3)]
    for place, (begin, samples) in enumerate(runs):
        end = runs[place + 1][0] if place + 1 < len(runs) else chunks + 1
        if begin < 1 or not begin <= end <= chunks + 1 or (place == 0 and begin != 1):
            raise UnprocessableError("The index of the video counts chunks that it does not have.")
        yield from (samples for _ in range(end - begin))
    if not runs and chunks:
        raise UnprocessableError("The index of the video counts chunks that it does not have.")


class _Sizes:
    """Of the samples of a track: one for all, or one each."""

    def __init__(self, content: bytes) -> None:
        self._same, self._count = int.from_bytes(content[4:8]), int.from_bytes(content[8:12])
        self._each = () if self._same else _numbers(content, 8, 4, self._count)

    def of(self, first: int, count: int) -> int:
        """The bytes of so many samples from this one on."""
        if first + count > self._count:
            raise UnprocessableError("The index of the video counts more pictures than it has.")
        return self._same * count if self._same else sum(self._each[first : first + count])
