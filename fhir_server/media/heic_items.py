"""The tables of a HEIC's index: which items it has, where they lie, how they are related, which properties they have.

ISO/IEC 14496-12 sections 8.11.3 (iloc), 8.11.6 (iinf), 8.11.12 (iref), ISO/IEC 23008-12 section 9.3 (ipma).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.boxes import Box, boxes, made

MOST_EXTENTS = 20_000
_FULL = 4


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    kind: bytes


@dataclass(frozen=True, slots=True)
class Location:
    """`raw` is its entry as it stands. `inner`: the extents are counted inside the index's own `idat`."""

    item: int
    extents: tuple[tuple[int, int], ...]
    inner: bool
    raw: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    kind: bytes
    source: int
    targets: tuple[int, ...]


class Reading:
    """Numbers one after the other. Raises UnprocessableError at the end."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def number(self, width: int) -> int:
        if self.at + width > len(self.content):
            raise UnprocessableError("A table in the index of the HEIC is cut off.")
        self.at += width
        return int.from_bytes(self.content[self.at - width : self.at])


def items(data: bytes, table: Box) -> Iterator[Item]:
    for box in _entries(data, table):
        reading = Reading(box.of(data))
        version = reading.number(1)
        if version not in {2, 3}:
            raise UnprocessableError("An item of the HEIC is described in a way that is not known here.")
        reading.number(3)
        id = reading.number(version * 2 - 2)
        reading.number(2)
        yield Item(id, reading.number(4).to_bytes(4))


def _entries(data: bytes, table: Box) -> Iterator[Box]:
    return boxes(data, table.body + _FULL + (4 if data[table.body] else 2), table.end)


def locations(data: bytes, table: Box) -> Iterator[Location]:
    reading = Reading(table.of(data))
    version = reading.number(1)
    reading.number(3)
    sizes = reading.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    left = MOST_EXTENTS
    for _ in range(reading.number(_id_width(version))):
        begin = reading.at
        item = reading.number(_id_width(version))
        method = reading.number(2) & 15 if version else 0
        elsewhere = reading.number(2)
        if method > 1 or elsewhere:
            raise UnprocessableError("An item of the HEIC lies in another file or inside another item.")
        base = reading.number(base_size)
        extents: list[tuple[int, int]] = []
        pieces = reading.number(2)
        left -= pieces + 1
        if left < 0:
            raise UnprocessableError(f"The HEIC has its items in more than {MOST_EXTENTS} pieces.")
        for _ in range(pieces):
            if version:
                reading.number(index_size)
            start = base + reading.number(offset_size)
            extents.append((start, start + reading.number(length_size)))
        yield Location(item, tuple(extents), method == 1, reading.content[begin : reading.at])


def _id_width(version: int) -> int:
    return 4 if version == 2 else 2  # noqa: PLR2004  the version with long ids


def references(data: bytes, table: Box) -> Iterator[Reference]:
    width = 4 if data[table.body] else 2
    for box in boxes(data, table.body + _FULL, table.end):
        reading = Reading(box.of(data))
        source = reading.number(width)
        targets = tuple(reading.number(width) for _ in range(reading.number(2)))
        yield Reference(box.kind, source, targets)


def without(data: bytes, table: Box, kept: Collection[int]) -> bytes:
    """The table with the entries of these items alone; items lose their names, which may be anybody's."""
    return made(table.kind, _REWRITERS[table.kind](data, table, kept))


def _items(data: bytes, table: Box, kept: Collection[int]) -> bytes:
    wide = bool(data[table.body])
    found: list[bytes] = []
    for box, item in zip(_entries(data, table), items(data, table), strict=True):
        if item.id in kept:
            fixed = 12 if data[box.body] == 2 else 14  # noqa: PLR2004  the version with short ids
            named = box.end - box.body - fixed
            found.append(made(b"infe", data[box.body : box.body + fixed] + bytes(named)))
    head = data[table.body : table.body + _FULL]
    return head + len(found).to_bytes(4 if wide else 2) + b"".join(found)


def _locations(data: bytes, table: Box, kept: Collection[int]) -> bytes:
    found = [one.raw for one in locations(data, table) if one.item in kept]
    head = data[table.body : table.body + _FULL + 2]
    return head + len(found).to_bytes(_id_width(head[0])) + b"".join(found)


def _references(data: bytes, table: Box, kept: Collection[int]) -> bytes:
    wide = bool(data[table.body])
    width = 4 if wide else 2
    found: list[bytes] = []
    for one in references(data, table):
        targets = [target for target in one.targets if target in kept]
        if one.source in kept and targets:
            ids = b"".join(target.to_bytes(width) for target in targets)
            found.append(made(one.kind, one.source.to_bytes(width) + len(targets).to_bytes(2) + ids))
    return data[table.body : table.body + _FULL] + b"".join(found)


def _associations(data: bytes, table: Box, kept: Collection[int]) -> bytes:
    reading = Reading(table.of(data))
    version, flags = reading.number(1), reading.number(3)
    found: list[bytes] = []
    for _ in range(reading.number(4)):
        begin = reading.at
        item = reading.number(4 if version else 2)
        for _ in range(reading.number(1)):
            reading.number(2 if flags & 1 else 1)
        if item in kept:
            found.append(reading.content[begin : reading.at])
    return reading.content[:_FULL] + len(found).to_bytes(4) + b"".join(found)


_REWRITERS = {b"iinf": _items, b"iloc": _locations, b"iref": _references, b"ipma": _associations}
