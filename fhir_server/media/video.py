"""MP4 and QuickTime without their metadata, every frame as it was, every byte that stays in its place.

ISO/IEC 14496-12; QuickTime File Format. Only picture and sound tracks are kept, and of the media data only what those
refer to: tracks of places and sensors go with their data. What goes becomes free space, so no offset changes and a
video of any length is cleaned from its index alone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.boxes import LONG_HEADER, Box, blank, box_at, boxes, only
from fhir_server.media.dimensions import require_pixels
from fhir_server.media.facts import Facts
from fhir_server.media.source import Blank, Copied, Plan, Source
from fhir_server.media.video_facts import video_facts
from fhir_server.media.video_samples import stretches

MOST_INDEX_BYTES = 4 << 20
_MOST_DATA_BOXES = 16
_MOST_TOP_BOXES = 1_000
_MOST_TYPE_BYTES = 4_096
_TRACKS = frozenset({b"vide", b"soun"})
_TABLES = b"stsd stts ctts cslg stsc stsz stco co64 stss stps sdtp sgpd sbgp".split()
_KEPT = {
    b"moov": {b"mvhd", b"trak"},
    b"trak": {b"tkhd", b"edts", b"mdia", b"tapt"},
    b"edts": {b"elst"},
    b"mdia": {b"mdhd", b"hdlr", b"minf", b"elng"},
    b"minf": {b"vmhd", b"smhd", b"hdlr", b"dinf", b"stbl"},
    b"dinf": {b"dref"},
    b"stbl": {*_TABLES},
}
_WITH_TIMES = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_HANDLER_NAMED, _HANDLER_KIND = 12, 8
_DREF_ENTRY = 12


async def clean_video(source: Source) -> tuple[Plan, Facts]:
    """What is kept, and what the file said. Raises UnprocessableError for what is not one whole video."""
    top = [box async for box in _top(source)]
    index = [box for box in top if box.kind == b"moov"]
    if (
        len(index) != 1
        or not 0 < sum(box.kind == b"mdat" for box in top) <= _MOST_DATA_BOXES
        or any(box.kind == b"moof" for box in top)
    ):
        raise UnprocessableError("The video is not one file with one index; send it unfragmented and whole.")
    [moov] = index
    if moov.end - moov.start > MOST_INDEX_BYTES:
        raise UnprocessableError("The index of the video is too large.")
    data = bytearray(await source.read(moov.start, moov.end))
    kept, facts = await asyncio.to_thread(_indexed, data, Box(b"moov", 0, moov.body - moov.start, len(data)))
    pieces: list[bytes | Copied | Blank] = []
    for box in top:
        if box is moov:
            pieces.append(bytes(data))
        elif box.kind == b"ftyp":
            pieces.append(await source.read(box.start, min(box.end, box.start + _MOST_TYPE_BYTES)))
        elif box.kind == b"mdat":
            pieces.append(Copied(box.start, box.body))
            pieces += _within(box, kept)
        else:
            pieces += (_freed(box), Blank(box.end - box.body))
    if sum(piece.stop - piece.start for piece in pieces if isinstance(piece, Copied)) < sum(
        stop - start for start, stop in kept
    ):
        raise UnprocessableError("The video is cut off: its index refers to pictures that it does not hold.")
    return tuple(pieces), facts


def _indexed(data: bytearray, whole: Box) -> tuple[list[tuple[int, int]], Facts]:
    """Where what is kept of the media data lies, and what the index said. It is clean afterwards."""
    facts = video_facts(data, whole)
    tracks = list(_tracks(data, whole))
    if not any(kind == b"vide" for kind, _ in tracks):
        raise UnprocessableError("The video holds no picture.")
    kept = stretches(data, [track for _, track in tracks])
    _clean(data, whole)
    return kept, facts


async def _top(source: Source) -> AsyncIterator[Box]:
    at = 0
    for _ in range(_MOST_TOP_BOXES):
        if at >= source.size:
            return
        box = box_at(await source.read(at, min(at + LONG_HEADER, source.size)), at, source.size)
        if box.kind == b"ftyp" and box.end - box.start > _MOST_TYPE_BYTES:
            raise UnprocessableError("The video names more brands than there are.")
        yield box
        at = box.end
    raise UnprocessableError(f"The file has more than {_MOST_TOP_BOXES} boxes in one place.")


def _freed(box: Box) -> bytes:
    """The header of free space as long as the box."""
    length = box.end - box.start
    if box.body - box.start == LONG_HEADER:
        return b"\x00\x00\x00\x01free" + length.to_bytes(8)
    return length.to_bytes(4) + b"free"


def _within(box: Box, kept: list[tuple[int, int]]) -> Iterator[Copied | Blank]:
    """The content of a media data box: what a track refers to, and zeros between."""
    at = box.body
    for start, stop in kept:
        if box.body <= start and stop <= box.end:
            if start > at:
                yield Blank(start - at)
            yield Copied(start, stop)
            at = stop
    if at < box.end:
        yield Blank(box.end - at)


def _tracks(data: bytearray, moov: Box) -> Iterator[tuple[bytes, Box]]:
    """The tracks that are kept, with their kind. Their pictures have a size that is allowed."""
    for track in boxes(data, moov.body, moov.end):
        kind = _handler(data, track) if track.kind == b"trak" else b""
        if kind in _TRACKS:
            header = only(data, track, b"tkhd")
            if header is not None and kind == b"vide":
                width, height = data[header.end - 8 : header.end - 4], data[header.end - 4 : header.end]
                require_pixels(int.from_bytes(width) >> 16, int.from_bytes(height) >> 16)
            yield kind, track


def _handler(data: bytearray, track: Box) -> bytes:
    media = only(data, track, b"mdia")
    handler = only(data, media, b"hdlr") if media else None
    return handler.of(data)[_HANDLER_KIND : _HANDLER_KIND + 4] if handler else b""


def _clean(data: bytearray, outer: Box) -> None:
    """In place: what is not known becomes free space; times and names become zeros."""
    for box in boxes(data, outer.body, outer.end):
        if box.kind not in _KEPT[outer.kind] or (box.kind == b"trak" and _handler(data, box) not in _TRACKS):
            blank(data, box)
        elif box.kind in _KEPT:
            _clean(data, box)
        elif box.kind in _WITH_TIMES:
            width = 16 if data[box.body] else 8
            data[box.body + 4 : box.body + 4 + width] = bytes(width)
        elif box.kind == b"hdlr":
            data[box.body + _HANDLER_NAMED : box.end] = bytes(max(0, box.end - box.body - _HANDLER_NAMED))
        elif box.kind == b"dref":
            _only_itself(data, box)


def _only_itself(data: bytearray, references: Box) -> None:
    """The media is in this very file; paths of files elsewhere go."""
    for entry in boxes(data, references.body + 8, references.end):
        if not data[entry.body + 3] & 1:
            raise UnprocessableError("The video refers to media in another file.")
        data[entry.body + 4 : entry.end] = bytes(entry.end - entry.body - 4)
