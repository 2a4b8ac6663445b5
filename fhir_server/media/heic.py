"""HEIC without its metadata, every coded picture as it was, every byte that stays in its place.

ISO/IEC 23008-12 and 14496-12 section 8.11. Of the items only pictures are kept, and of those no thumbnails; of the
media data only what they refer to. Orientation and colour are properties of the pictures (`irot`, `imir`, `colr`)
and stay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.boxes import HEADER, Box, blank, boxes, free, made, only
from fhir_server.media.colour_profile import clean_profile
from fhir_server.media.dimensions import require_pixels
from fhir_server.media.exif import exif_facts
from fhir_server.media.facts import Facts
from fhir_server.media.heic_items import Item, Location, items, locations, references, without

_PICTURES = frozenset({b"hvc1", b"hev1", b"grid", b"iovl", b"iden"})
_PROPERTIES = frozenset(
    b"hvcC ispe colr pixi irot imir auxC pasp clap lsel clli mdcv cclv amve free".split()
)  # what decoding, colour and orientation need
_PROFILES = (b"prof", b"rICC")
_FULL = 4
_MOST_DATA_BOXES = 16
_TOP = frozenset({b"ftyp", b"meta", b"mdat"})


@dataclass(frozen=True, slots=True)
class _Index:
    """The `meta` box of a file, taken apart."""

    box: Box
    items: Sequence[Item]
    locations: Sequence[Location]
    thumbnails: frozenset[int]

    @property
    def kept(self) -> frozenset[int]:
        return frozenset(one.id for one in self.items if one.kind in _PICTURES) - self.thumbnails


def clean_heic(data: bytes) -> tuple[bytes, Facts]:
    """The same pictures, and what the file said. Raises UnprocessableError for what is not one whole HEIC."""
    top = list(boxes(data, 0, len(data)))
    metas = [box for box in top if box.kind == b"meta"]
    if len(metas) != 1 or top[0].kind != b"ftyp" or sum(box.kind == b"mdat" for box in top) > _MOST_DATA_BOXES:
        raise UnprocessableError("The HEIC has no index of its pictures.")
    index = _index(data, metas[0])
    sizes = _sizes(data, index.box)
    primary = _child(data, index.box, b"pitm")
    if not sizes or primary is None or int.from_bytes(primary.of(data)[_FULL:]) not in index.kept:
        raise UnprocessableError("The HEIC holds no picture.")
    for width, height in sizes:
        require_pixels(width, height)
    _require_held(index, [(box.body, box.end) for box in top if box.kind == b"mdat"])
    cleaned = bytearray(data)
    facts = _facts(data, index)
    for box in top:
        if box.kind == b"mdat":
            _only(cleaned, box.body, box.end, _stretches(index, inner=False))
        elif box.kind not in _TOP:
            blank(cleaned, box)
    cleaned[index.box.start : index.box.end] = _rewritten(data, index)
    return bytes(cleaned), facts


def _index(data: bytes, meta: Box) -> _Index:
    found, places = _child(data, meta, b"iinf"), _child(data, meta, b"iloc")
    if found is None or places is None or _child(data, meta, b"iprp") is None:
        raise UnprocessableError("The HEIC has no index of its pictures.")
    related = _child(data, meta, b"iref")
    thumbnails = {one.source for one in references(data, related) if one.kind == b"thmb"} if related else set[int]()
    return _Index(meta, tuple(items(data, found)), tuple(locations(data, places)), frozenset(thumbnails))


def _child(data: bytes | bytearray, meta: Box, kind: bytes) -> Box | None:
    return only(data, meta, kind, _FULL)


def _sizes(data: bytes, meta: Box) -> list[tuple[int, int]]:
    properties = _child(data, meta, b"iprp")
    container = only(data, properties, b"ipco") if properties else None
    if container is None:
        return []
    found = [box.of(data) for box in boxes(data, container.body, container.end) if box.kind == b"ispe"]
    return [(int.from_bytes(one[4:8]), int.from_bytes(one[8:12])) for one in found]


def _facts(data: bytes, index: _Index) -> Facts:
    """From the Exif item: four bytes say how far its TIFF header is."""
    blocks = {one.id for one in index.items if one.kind == b"Exif"}
    for place in index.locations:
        if place.item in blocks and not place.inner:
            block = b"".join(data[start:stop] for start, stop in place.extents)
            return exif_facts(block[_FULL + int.from_bytes(block[:_FULL]) :])
    return Facts()


def _stretches(index: _Index, *, inner: bool) -> list[tuple[int, int]]:
    """Where what is kept lies: in the file, or inside the index itself."""
    return sorted(
        stretch
        for place in index.locations
        if place.item in index.kept and place.inner == inner
        for stretch in place.extents
    )


def _require_held(index: _Index, covered: Sequence[tuple[int, int]]) -> None:
    """What is kept lies whole in the media data, or in the index."""
    for start, stop in _stretches(index, inner=False):
        if not any(begin <= start and stop <= end for begin, end in covered):
            raise UnprocessableError("The HEIC is cut off: its index refers to what it does not hold.")


def _only(data: bytearray, start: int, end: int, kept: Sequence[tuple[int, int]]) -> None:
    """Zeros between `start` and `end` but where something is kept."""
    at = start
    for begin, stop in kept:
        if begin >= end or stop <= start:
            continue  # of another box; that it lies whole in one is looked at before
        data[at : max(at, begin)] = bytes(max(0, begin - at))
        at = max(at, stop)
    data[at:end] = bytes(end - at)


def _rewritten(data: bytes, index: _Index) -> bytes:
    """The index without what goes, in as many bytes as before: offsets into the media data stay true."""
    content = data[index.box.body : index.box.body + _FULL] + b"".join(_children(data, index))
    room = index.box.end - index.box.start - HEADER - len(content)
    if room and room < HEADER:
        raise UnprocessableError("The index of the HEIC cannot be rewritten in its place.")
    return made(b"meta", content + (free(room) if room else b""))


def _children(data: bytes, index: _Index) -> Iterator[bytes]:
    for box in boxes(data, index.box.body + _FULL, index.box.end):
        if box.kind in {b"iinf", b"iloc", b"iref"}:
            yield without(data, box, index.kept)
        elif box.kind == b"iprp":
            yield made(b"iprp", b"".join(_properties(data, box, index)))
        elif box.kind == b"idat":
            held = bytearray(box.of(data))
            _only(held, 0, len(held), _stretches(index, inner=True))
            yield made(b"idat", bytes(held))
        elif box.kind == b"hdlr":
            yield made(b"hdlr", box.of(data)[:20] + bytes(max(0, box.end - box.body - 20)))
        elif box.kind == b"pitm":
            yield data[box.start : box.end]


def _properties(data: bytes, outer: Box, index: _Index) -> Iterator[bytes]:
    """Properties are counted by their place, so one that goes leaves free space there."""
    for box in boxes(data, outer.body, outer.end):
        if box.kind == b"ipco":
            held = bytearray(data[box.start : box.end])
            for one in boxes(data, box.body, box.end):
                here = Box(one.kind, one.start - box.start, one.body - box.start, one.end - box.start)
                if one.kind not in _PROPERTIES:
                    blank(held, here)
                elif one.kind == b"colr" and held[here.body : here.body + 4] in _PROFILES:
                    profile = clean_profile(bytes(held[here.body + 4 : here.end]))
                    if profile is None:
                        blank(held, here)
                    else:
                        held[here.body + 4 : here.end] = profile
            yield bytes(held)
        elif box.kind == b"ipma":
            yield without(data, box, index.kept)
