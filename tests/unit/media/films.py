"""Small files in boxes: an MP4 as a phone writes it, with a track of places; a HEIC with Exif and a thumbnail."""

import struct

from tests.unit.media.pictures import PLACE, exif_of_a_camera

PICTURES, SOUND, PLACES = b"frame-one.frame-two.", b"sound!", b"GPMF" + PLACE
TAKEN_1904 = 3_855_204_900


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes((version,)) + flags.to_bytes(3), *content)


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def track(
    kind: bytes,
    offsets: list[int],
    sizes: list[int],
    *more: bytes,
    size: tuple[int, int] = (640, 480),
    wide: bool = False,
    same: int = 0,
    runs: tuple[int, ...] = (1, 1, 1),
) -> bytes:
    """A track of one sample in each chunk."""
    places = struct.pack(f">I{len(offsets)}{'Q' if wide else 'I'}", len(offsets), *offsets)
    sized = numbers(same, len(sizes)) + (b"" if same else numbers(*sizes))
    table = box(
        b"stbl",
        full(b"stsd", numbers(0)),
        full(b"stsc", numbers(len(runs) // 3, *runs)),
        full(b"stsz", sized),
        full(b"co64" if wide else b"stco", places),
    )
    inside = full(b"url ", b"file:///home/ana/" if more else b"", flags=1)
    minf = box(b"minf", full(b"vmhd", bytes(8), flags=1), box(b"dinf", full(b"dref", numbers(1), inside)), table)
    handler = full(b"hdlr", bytes(4), kind, bytes(12), b"Ana's handler\x00")
    media = box(b"mdia", full(b"mdhd", numbers(TAKEN_1904, TAKEN_1904, 600, 10), bytes(4)), handler, minf)
    width, height = size
    header = full(b"tkhd", numbers(TAKEN_1904, TAKEN_1904, 1), bytes(60), numbers(width << 16, height << 16))
    return box(b"trak", header, *more, media)


def apple(**values: str) -> bytes:
    keys = [box(b"mdta", b"com.apple.quicktime." + name.encode()) for name in values]
    items = [
        box(struct.pack(">I", number), box(b"data", numbers(1, 0), value.encode()))
        for number, value in enumerate(values.values(), 1)
    ]
    return box(b"meta", full(b"keys", numbers(len(keys)), *keys), box(b"ilst", *items))


def mp4(
    *in_index: bytes,
    brand: bytes = b"isom",
    before: bytes = b"",
    after: bytes = b"",
    index_first: bool = False,
    tracks: tuple[bytes, ...] | None = None,
    size: tuple[int, int] = (640, 480),
) -> bytes:
    """Pictures, sound and places in one file; the index after them, or before."""
    head = box(b"ftyp", brand, bytes(4), b"mp42") + before

    def index(at: int) -> bytes:
        sound, places = at + len(PICTURES), at + len(PICTURES) + len(SOUND)
        found = tracks or (
            track(b"vide", [at, at + 10], [10, 10], box(b"udta", PLACE), size=size),
            track(b"soun", [sound], [0], same=6, runs=(1, 1, 1)),
            track(b"meta", [places], [len(PLACES)]),
        )
        header = full(b"mvhd", numbers(TAKEN_1904, TAKEN_1904, 600, 10), bytes(80))
        return box(b"moov", header, *found, box(b"udta", box(b"\xa9xyz", PLACE)), *in_index)

    data = box(b"mdat", PICTURES, SOUND, PLACES)
    if index_first:
        at = len(head) + len(index(0)) + 8
        return head + index(at) + data + after
    return head + data + index(len(head) + 8) + after


def heic(
    *,
    exif: bytes | None = None,
    top: bytes = b"",
    primary: int = 1,
    size: tuple[int, int] = (8, 8),
    shift: int = 0,
    colour: bytes = b"",
) -> bytes:
    """A picture, its thumbnail, an Exif item and XMP. `shift` moves what the index says of the picture."""
    block = numbers(6) + b"Exif\x00\x00" + (exif_of_a_camera(taken="2026:03:01 10:15:00") if exif is None else exif)
    parts = [b"CODED-PICTURE", b"CODED-THUMBNAIL", block, b"<x:xmpmeta>" + PLACE]
    kinds = [b"hvc1", b"hvc1", b"Exif", b"mime"]
    names = [b"Ana at home\x00", b"\x00", b"\x00", b"\x00application/rdf+xml\x00"]
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic") + top
    infes = [
        full(b"infe", struct.pack(">HH", number, 0), kind, name, version=2)
        for number, (kind, name) in enumerate(zip(kinds, names, strict=True), 1)
    ]
    properties = box(
        b"ipco",
        full(b"ispe", numbers(*size)),
        box(b"irot", b"\x01"),
        box(b"uuid", bytes(16), PLACE),
        box(b"hvcC", b"c"),
        colour,
    )
    associated = full(b"ipma", numbers(2), b"\x00\x01\x03\x01\x02\x84", b"\x00\x02\x01\x84")

    def index(at: int) -> bytes:
        entries = b""
        place = at
        for number, part in enumerate(parts, 1):
            entries += struct.pack(">HHHII", number, 0, 1, max(0, place + (shift if number == 1 else 0)), len(part))
            place += len(part)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(12), b"Ana\x00"),
            full(b"pitm", struct.pack(">H", primary)),
            full(b"iloc", b"\x44\x00", struct.pack(">H", len(parts)), entries),
            full(b"iinf", struct.pack(">H", len(parts)), *infes),
            full(b"iref", box(b"thmb", struct.pack(">HHH", 2, 1, 1)), box(b"cdsc", struct.pack(">HHH", 3, 1, 1))),
            box(b"iprp", properties, associated),
            box(b"idat", PLACE),
        )

    at = len(head) + len(index(0)) + 8
    return head + index(at) + box(b"mdat", *parts)
