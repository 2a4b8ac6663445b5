"""The Merkle tree of the log, as tiles of up to 256 hashes: appending, its root, and the hashes of a proof.

RFC 6962 section 2.1 and RFC 9162 section 2.1 for what is hashed; https://c2sp.org/tlog-tiles for the tiles. Pure: who
asks for a proof learns first which tiles it takes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

HASH = 32
WIDTH = 256
_FULL = HASH * WIDTH
_BITS = 8
EMPTY_ROOT = hashlib.sha256(b"").digest()


class TileId(NamedTuple):
    """The hash at place `i` of level `l` covers the leaves from `i * 256**l` to `(i + 1) * 256**l`."""

    level: int
    number: int


class Span(NamedTuple):
    """The leaves from `start` up to and without `end`."""

    start: int
    end: int


Tiles = Mapping[TileId, bytes]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def edge(size: int) -> Iterator[TileId]:
    """The tiles that are not full in a tree of this size: all that appending to it, and its root, take."""
    level = 0
    while size:
        if size % WIDTH:
            yield TileId(level, size // WIDTH)
        size //= WIDTH
        level += 1


def appended(size: int, tiles: Tiles, leaves: Sequence[bytes]) -> dict[TileId, bytes]:
    """The tiles that are new or longer once these leaf hashes follow the first `size`. `tiles` holds its edge."""
    growing = {id: bytearray(tiles[id][: (size // WIDTH**id.level % WIDTH) * HASH]) for id in edge(size)}
    for place, leaf in enumerate(leaves, size):
        level, index, hashed = 0, place, leaf
        while True:
            tile = growing.setdefault(TileId(level, index // WIDTH), bytearray())
            tile += hashed
            if len(tile) < _FULL:
                break
            level, index, hashed = level + 1, index // WIDTH, _folded(bytes(tile))
    return {id: bytes(tile) for id, tile in growing.items()}


def root(size: int, tiles: Tiles) -> bytes:
    """Of the tree over the first `size` leaves; its edge, or what became of it, is among the tiles."""
    return hash_of(Span(0, size), tiles)


def inclusion(index: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that the leaf at `index` is in the tree of this size, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError("There is no such leaf in a tree of this size.")
    path: list[Span] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(Span(middle, high))
            high = middle
        else:
            path.append(Span(low, middle))
            low = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Span]:
    """The subtrees whose hashes prove that the tree of size `old` is the beginning of the tree of size `new`."""
    if not 0 <= old <= new:
        raise ValueError("A tree does not shrink.")
    if old in {0, new}:
        return []
    path: list[Span] = []
    low, high, is_whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(Span(middle, high))
            high = middle
        else:
            path.append(Span(low, middle))
            low, is_whole = middle, False
    return [*([] if is_whole else [Span(low, high)]), *path[::-1]]


def needed(spans: Iterable[Span]) -> set[TileId]:
    """The tiles that hold what `hash_of` takes for each of the spans."""
    return {_tile(start, end)[0] for span in spans for start, end in _perfect(span)}


def hash_of(span: Span, tiles: Tiles) -> bytes:
    """The hash of the tree over these leaves; it begins where a subtree of its size may begin."""
    hashed: bytes | None = None
    for start, end in reversed(list(_perfect(span))):
        id, first, count = _tile(start, end)
        part = tiles[id][first * HASH : (first + count) * HASH]
        if len(part) != count * HASH:
            raise ValueError("A tile is shorter than the tree.")
        hashed = _folded(part) if hashed is None else node_hash(_folded(part), hashed)
    return EMPTY_ROOT if hashed is None else hashed


def path_of(id: TileId, width: int = WIDTH) -> str:
    """Where a tile lies below `tile/`; a shorter one names how many hashes it holds."""
    digits = f"{id.number:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"{id.level}/{place}" + (f".p/{width}" if width < WIDTH else "")


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _perfect(span: Span) -> Iterator[tuple[int, int]]:
    """The span as subtrees whose sizes are falling powers of two."""
    start, left = span.start, span.end - span.start
    while left:
        size = 1 << (left.bit_length() - 1)
        yield start, start + size
        start, left = start + size, left - size


def _tile(start: int, end: int) -> tuple[TileId, int, int]:
    """Where a perfect subtree lies: its tile, the first of its hashes there, and how many they are."""
    level = ((end - start).bit_length() - 1) // _BITS
    first = start // WIDTH**level
    return TileId(level, first // WIDTH), first % WIDTH, (end - start) // WIDTH**level


def _folded(hashes: bytes) -> bytes:
    """A power of two of hashes, as one."""
    row = [hashes[at : at + HASH] for at in range(0, len(hashes), HASH)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
