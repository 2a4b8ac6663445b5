"""A photo without what it tells besides the picture: place, time, device, comments, thumbnails, trailing files.

GDPR Art. 5(1)(c); a phone writes GPS coordinates into every picture, and they are removed always. The containers are
rewritten here: the maintained libraries either decode and encode again, which changes pixels (Pillow, pillow-heif,
FFmpeg), or wrap a native tool under the GPL (pyexiv2, mat2); the lossless ones are untyped, Exif only, or unmaintained
(piexif, exif). DICOM alone has a library that leaves pixels as they are: pydicom.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fhir_server.kernel.errors import TooLargeError, UnprocessableError
from fhir_server.media import jpeg, png, webp
from fhir_server.media.dimensions import require_sensible_size
from fhir_server.media.exif import exif_facts
from fhir_server.media.facts import Facts
from fhir_server.media.formats import (
    DICOM,
    GIF,
    GLB,
    HEIC,
    JPEG,
    MP4,
    OBJ,
    PNG,
    QUICKTIME,
    STL,
    WEBP,
    Format,
    recognise,
)
from fhir_server.media.gif import clean_gif
from fhir_server.media.glb import clean_glb
from fhir_server.media.heic import clean_heic
from fhir_server.media.models import clean_obj, clean_stl
from fhir_server.media.source import Plan, Source
from fhir_server.media.video import clean_video

MOST_BYTES = 64 << 20
"""Of everything but video, which is looked at as a whole in memory."""
MOST_VIDEO_BYTES = 1 << 30
_VIDEO = frozenset({MP4, QUICKTIME})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is kept of a file, and what it said of how it was taken."""

    plan: Plan
    facts: Facts


async def cleaned(source: Source, format: Format) -> Cleaned:
    """The same picture, bit for bit, with its metadata gone; only colour and orientation are kept. Idempotent.

    Raises UnprocessableError when the bytes are damaged, too many pixels, or of a format that cannot be cleaned, and
    TooLargeError.
    """
    require_size(source.size, format)
    if format in _VIDEO:
        return Cleaned(*await clean_video(source))
    data = await source.read(0, source.size)
    done, facts = await asyncio.to_thread(_cleaned, data, format)
    return Cleaned((done,), facts)


def require_size(size: int, format: Format) -> None:
    """Raises TooLargeError."""
    most = MOST_VIDEO_BYTES if format in _VIDEO else MOST_BYTES
    if size > most:
        raise TooLargeError(f"{format.media_type} has at most {most} bytes here.")


def clean(data: bytes, format: Format) -> bytes:
    """The same of what is in memory, for all but video."""
    return _cleaned(data, format)[0]


def _cleaned(data: bytes, format: Format) -> tuple[bytes, Facts]:
    telling = _TELLING.get(format)
    if telling is not None:
        return telling(data)
    cleaner = _SILENT.get(format)
    if cleaner is None:
        raise UnprocessableError(
            f"The metadata of {format.media_type} cannot be removed; send JPEG, PNG, WebP, GIF, HEIC, DICOM, STL, OBJ, "
            "GLB, MP4 or QuickTime."
        )
    done = cleaner(data)
    require_sensible_size(done, format)
    return done, exif_facts(_exif(data, format))


def _texture(data: bytes) -> bytes:
    found = recognise(data)
    assert found is not None, "only what is known is taken for a texture"
    return clean(data, found)


def _without_facts(cleaner: Callable[[bytes], bytes]) -> Callable[[bytes], tuple[bytes, Facts]]:
    return lambda data: (cleaner(data), Facts())


def _clean_dicom(data: bytes) -> tuple[bytes, Facts]:
    """Loads pydicom with the first DICOM file: a twentieth of the whole start, and few clinics send one."""
    from fhir_server.media.dicom import clean_dicom

    return clean_dicom(data)


_SILENT: Mapping[Format, Callable[[bytes], bytes]] = {
    GIF: clean_gif,
    JPEG: jpeg.clean_jpeg,
    PNG: png.clean_png,
    WEBP: webp.clean_webp,
}
_TELLING: Mapping[Format, Callable[[bytes], tuple[bytes, Facts]]] = {
    DICOM: _clean_dicom,
    GLB: _without_facts(lambda data: clean_glb(data, _texture)),
    HEIC: clean_heic,
    OBJ: _without_facts(clean_obj),
    STL: _without_facts(clean_stl),
}


def _exif(data: bytes, format: Format) -> bytes:
    """The first Exif block of a whole picture; empty where there is none."""
    if format is JPEG:
        blocks = (payload for marker, payload, _ in jpeg.segments(data) if marker == jpeg.EXIF_MARKER)
        return next((block for block in blocks if block.startswith(jpeg.EXIF)), b"")
    if format is PNG:
        return next((chunk[8:-4] for name, chunk in png.chunks(data) if name == b"eXIf"), b"")
    if format is WEBP:
        return next((content for name, content in webp.content(data) if name == b"EXIF"), b"")
    return b""
