"""A photo without what it tells besides the picture: place, time, device, comments, thumbnails, trailing files.

GDPR Art. 5(1)(c); a phone writes GPS coordinates into every picture, and they are removed always. The containers are
rewritten here: the maintained libraries either decode and encode again, which changes pixels (Pillow), or wrap a native
tool under the GPL (pyexiv2, mat2); the lossless ones are untyped, Exif only, or unmaintained (piexif, exif).
"""

from collections.abc import Callable, Mapping

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.formats import GIF, JPEG, PNG, WEBP, Format
from fhir_server.media.gif import clean_gif
from fhir_server.media.jpeg import clean_jpeg
from fhir_server.media.png import clean_png
from fhir_server.media.webp import clean_webp

_CLEANERS: Mapping[Format, Callable[[bytes], bytes]] = {
    GIF: clean_gif,
    JPEG: clean_jpeg,
    PNG: clean_png,
    WEBP: clean_webp,
}


def clean(data: bytes, format: Format) -> bytes:
    """The same picture, bit for bit, with its metadata gone; only colour and orientation are kept. Idempotent.

    Raises UnprocessableError when the bytes are damaged, or when the format is one that cannot be cleaned.
    """
    cleaner = _CLEANERS.get(format)
    if cleaner is None:
        raise UnprocessableError(f"The metadata of {format.media_type} cannot be removed; send JPEG, PNG, WebP or GIF.")
    return cleaner(data)
