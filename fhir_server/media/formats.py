"""What a file is, told from its bytes and never from what its sender calls it.

Architecture section 9: bytes that are an image, a video, DICOM or a 3-D model are a photo, wherever they stand.
A JPEG in a `text/plain` attachment is a photo. In doubt the answer leans to photo, because that side is guarded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """`is_photo`: an image, a video, DICOM or a 3-D model. `cleanable`: media.metadata can strip it."""

    media_type: str
    is_photo: bool = True
    cleanable: bool = False


JPEG = Format("image/jpeg", cleanable=True)
PNG = Format("image/png", cleanable=True)
WEBP = Format("image/webp", cleanable=True)
GIF = Format("image/gif", cleanable=True)
BMP = Format("image/bmp")
TIFF = Format("image/tiff")
HEIC = Format("image/heic", cleanable=True)
AVIF = Format("image/avif")
JPEG_2000 = Format("image/jp2")
JPEG_XL = Format("image/jxl")
JPEG_XR = Format("image/jxr")
PSD = Format("image/vnd.adobe.photoshop")
SVG = Format("image/svg+xml")
RAW = Format("image/x-raw")
DICOM = Format("application/dicom", cleanable=True)
MP4 = Format("video/mp4", cleanable=True)
QUICKTIME = Format("video/quicktime", cleanable=True)
WEBM = Format("video/webm")
MATROSKA = Format("video/x-matroska")
AVI = Format("video/x-msvideo")
FLASH = Format("video/x-flv")
MPEG = Format("video/mpeg")
MPEG_STREAM = Format("video/mp2t")
WINDOWS_MEDIA = Format("video/x-ms-wmv")
GLB = Format("model/gltf-binary", cleanable=True)
STL = Format("model/stl", cleanable=True)
OBJ = Format("model/obj", cleanable=True)
PLY = Format("model/ply")
MP4_AUDIO = Format("audio/mp4", is_photo=False)
PDF = Format("application/pdf", is_photo=False)

_STARTS = (
    (b"\xff\xd8", JPEG),
    (b"\x89PNG", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"\xff\x0a", JPEG_XL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"II\xbc", JPEG_XR),
    (b"8BPS\x00", PSD),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"IIU\x00", RAW),
    (b"MMOR", RAW),
    (b"\x02\x00\x00\x00UL\x04\x00", DICOM),
    (b"\x00\x00\x01\xba", MPEG),
    (b"\x00\x00\x01\xb3", MPEG),
    (b"FLV\x01", FLASH),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", WINDOWS_MEDIA),
    (b"glTF\x02\x00\x00\x00", GLB),
    (b"ply\n", PLY),
    (b"ply\r\n", PLY),
)

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
_DICOM_FIRST = re.compile(
    rb"\x08\x00..(?:CS|UI|DA|TM|SH|LO|PN|ST|UL|\x02\x00\x00\x00|[\x04-\x40]\x00\x00\x00)", re.DOTALL
)
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:(?><\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*+(?:\[[^\]]*+\])?[^>]*+>)\s*+)*+<(?:\w+:)?svg[\s>/]",
    re.DOTALL,
)
_OBJ_NUMBER = rb"[ \t]++-?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?"
_OBJ_VERTEX = re.compile(rb"^v(?:" + _OBJ_NUMBER + rb"){3,7}[ \t]*\r?$", re.MULTILINE)
_OBJ_LINE = re.compile(rb"(?:#.*|(?:v|vt|vn|vp|f|l|p|o|g|s|mtllib|usemtl)[ \t].*|[ \t]*)\r?")
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
LOOKED_AT = 4096
_STL_HEADER, _STL_TRIANGLE = 84, 50


def recognise(data: bytes, size: int | None = None) -> Format | None:
    """The format of these bytes, or None when they are none that this server knows; it looks at the first 4 KiB.

    `size`: how many there are in all, where `data` is only their beginning.

    Whatever a viewer would show as a picture counts, so the signatures of pictures are tried before that of PDF, which
    readers also accept further inside a file.
    """
    start, whole = data[:LOOKED_AT], len(data) if size is None else size
    for signature, found in _STARTS:
        if start.startswith(signature):
            return found
    for recogniser in _RECOGNISERS:
        if found_here := recogniser(start, whole):
            return found_here
    return None


def _dicom(start: bytes, _: int) -> Format | None:
    return DICOM if start[128:132] == b"DICM" or _DICOM_FIRST.match(start) else None


def _riff(start: bytes, _: int) -> Format | None:
    if start[:4] not in {b"RIFF", b"RIFX"}:
        return None
    return {b"WEBP": WEBP, b"AVI ": AVI}.get(start[8:12])


def _iso_media(start: bytes, size: int) -> Format | None:
    """ISO/IEC 14496-12: a `ftyp` box names brands; QuickTime files may begin without one."""
    box = start[4:8]
    if box != b"ftyp":
        return QUICKTIME if box in _QUICKTIME_ATOMS and int.from_bytes(start[:4]) <= size else None
    length = min(int.from_bytes(start[:4]), len(start))
    brands = [start[8:12], *(start[at : at + 4] for at in range(16, length - 3, 4))]
    if _AVIF_BRANDS.intersection(brands):
        return AVIF
    if _HEIC_BRANDS.intersection(brands):
        return HEIC
    if brands[0] == b"crx ":
        return RAW
    if brands[0] == b"qt  ":
        return QUICKTIME
    return MP4_AUDIO if brands[0] in _AUDIO_BRANDS else MP4


def _ebml(start: bytes, _: int) -> Format | None:
    """RFC 8794: the DocType tells WebM from Matroska; both hold video."""
    if not start.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return WEBM if b"webm" in start[:64] else MATROSKA


def _mpeg_stream(start: bytes, _: int) -> Format | None:
    """ISO/IEC 13818-1: a sync byte every 188 bytes."""
    return MPEG_STREAM if start[0 : 3 * 188 : 188] == b"GGG" else None


def _bitmap(start: bytes, size: int) -> Format | None:
    """Two letters alone would take text for a picture: the header's own length must be one that BMP has."""
    header = int.from_bytes(start[14:18], "little")
    return BMP if start.startswith(b"BM") and header in _BMP_HEADERS and size >= header else None


def _vector(start: bytes, _: int) -> Format | None:
    return SVG if _SVG.match(start) else None


def _stl(start: bytes, size: int) -> Format | None:
    """Binary: a count of triangles that accounts for every byte. ASCII: `solid`, and a facet soon."""
    triangles = int.from_bytes(start[_STL_HEADER - 4 : _STL_HEADER], "little")
    if triangles and size == _STL_HEADER + triangles * _STL_TRIANGLE:
        return STL
    return STL if start.startswith(b"solid") and b"facet normal" in start else None


def _obj(start: bytes, _: int) -> Format | None:
    """Wavefront OBJ has no signature: every whole line must be one of its statements, and a vertex among them."""
    if not _OBJ_VERTEX.search(start):
        return None
    return OBJ if all(_OBJ_LINE.fullmatch(line) for line in start.split(b"\n")[:-1]) else None


def _pdf(start: bytes, _: int) -> Format | None:
    return PDF if b"%PDF-" in start[:1024] else None


_RECOGNISERS: tuple[Callable[[bytes, int], Format | None], ...] = (
    _riff,
    _iso_media,
    _ebml,
    _mpeg_stream,
    _bitmap,
    _dicom,
    _stl,
    _obj,
    _vector,
    _pdf,
)
