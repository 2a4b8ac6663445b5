"""Small pictures, byte by byte: each part of a JPEG, PNG, WebP or GIF as a test wants it."""

import struct
import zlib

from PIL import ImageCms

from fhir_server.media.colour_profile import clean_profile

PLACE = b"48.8584N-GPS-SECRET"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
JFIF = b"JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00"
ADOBE = b"Adobe\x00\x64\x00\x00\x00\x00\x01"
PROFILE = clean_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()) or b""
"""Of colours, without words."""
QUANTISATION = b"\x00" + bytes(range(1, 65))
HUFFMAN = b"\x00" + b"\x00\x01" + bytes(14) + b"\x00"
FRAME = b"\x08\x00\x08\x00\x08\x01\x01\x11\x00"
SCAN = b"\x01\x01\x00\x00\x3f\x00"
CODED = b"\x7f\xff\x00\x12\xff\xd0\x34\xff\x00"


def segment(marker: int, payload: bytes = b"") -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def scan(coded: bytes = CODED) -> bytes:
    return segment(0xDA, SCAN) + coded


PICTURE = segment(0xDB, QUANTISATION) + segment(0xC0, FRAME) + segment(0xC4, HUFFMAN) + scan()


def jpeg(*before: bytes, picture: bytes = PICTURE, after: bytes = b"") -> bytes:
    return SOI + b"".join(before) + picture + EOI + after


def exif(orientation: int = 1, *, little: bool = False, thumbnail: bytes = b"", place: bytes = PLACE) -> bytes:
    """A TIFF block as a phone writes it: orientation, a GPS directory, a thumbnail in a second directory."""
    order = "<" if little else ">"
    head = (b"II*\x00" if little else b"MM\x00*") + struct.pack(order + "I", 8)
    gps_at = 8 + 2 + 2 * 12 + 4
    entries = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(order + "HHII", 0x8825, 4, 1, gps_at)
    return head + struct.pack(order + "H", 2) + entries + bytes(4) + place + thumbnail


def exif_segment(orientation: int = 1, *, little: bool = False, thumbnail: bytes = b"") -> bytes:
    return segment(0xE1, b"Exif\x00\x00" + exif(orientation, little=little, thumbnail=thumbnail))


def png_chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


HEADER = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
PIXELS = png_chunk(b"IDAT", zlib.compress(b"\x00\x7f"))
PNG_START = b"\x89PNG\r\n\x1a\n"


def png(*between: bytes, pixels: bytes = PIXELS, after: bytes = b"") -> bytes:
    return PNG_START + HEADER + b"".join(between) + pixels + png_chunk(b"IEND") + after


def webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2)


BITSTREAM = webp_chunk(b"VP8L", b"\x2f\x00\x00\x00\x00\x07\x10\x11\x11")


def extended(flags: int) -> bytes:
    return webp_chunk(b"VP8X", bytes((flags,)) + bytes(9))


def webp(*chunks: bytes, after: bytes = b"") -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body + after


GIF_SCREEN = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
GIF_CONTROL = b"\x21\xf9\x04\x01\x0a\x00\x00\x00"
GIF_IMAGE = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def gif_extension(label: int, *parts: bytes) -> bytes:
    return bytes((0x21, label)) + b"".join(bytes((len(part),)) + part for part in parts) + b"\x00"


def gif(*blocks: bytes, after: bytes = b"") -> bytes:
    return GIF_SCREEN + b"".join(blocks) + b"\x3b" + after


def exif_of_a_camera(*, taken: str = "", offset: str = "", little: bool = False) -> bytes:
    """A TIFF block with maker, model, time and exposure, and the place besides."""
    order = "<" if little else ">"
    texts = {0x9003: taken, 0x9011: offset}
    inner = {
        0x829A: (5, struct.pack(order + "II", 1, 125)),
        0x829D: (5, struct.pack(order + "II", 28, 10)),
        0x8827: (3, struct.pack(order + "H", 200)),
        **{tag: (2, text.encode() + b"\x00") for tag, text in texts.items() if text},
        0x920A: (5, struct.pack(order + "II", 50, 1)),
        0xA403: (3, struct.pack(order + "H", 1)),
    }
    outer = {0x010F: (2, b"Clinic\x00"), 0x0110: (2, b"Clinic Cam 7\x00"), 0x8769: (4, b"")}
    head = (b"II*\x00" if little else b"MM\x00*") + struct.pack(order + "I", 8)
    room = 2 + 12 * len(outer) + 4
    texts_at = 8 + room
    values = b"".join(value for _, value in outer.values())
    inner_at = texts_at + len(values)
    outer[0x8769] = (4, struct.pack(order + "I", inner_at))
    first = tiff_directory(outer, texts_at, order)
    second = tiff_directory(inner, inner_at + 2 + 12 * len(inner) + 4, order)
    inner_values = b"".join(value for _, value in inner.values() if len(value) > 4)
    return head + first + values + second + inner_values + PLACE


def tiff_directory(values: dict[int, tuple[int, bytes]], at: int, order: str) -> bytes:
    """One directory; values over four bytes lie from `at` on, one after the other."""
    widths = {2: 1, 3: 2, 4: 4, 5: 8}
    found = struct.pack(order + "H", len(values))
    for tag, (kind, value) in values.items():
        found += struct.pack(order + "HHI", tag, kind, len(value) // widths[kind])
        if len(value) > 4:
            found += struct.pack(order + "I", at)
            at += len(value)
        else:
            found += value.ljust(4, b"\x00")
    return found + bytes(4)
