"""What opens pictures that Pillow does not, and finds faces: it runs in a process of its own, within limits.

HEIC by libheif, DICOM by pydicom, the first picture of a video and faces by OpenCV. Native decoders are where hostile
files do harm: this process knows no key, no database and no patient, and ends with the one picture that it was given.
What it finds of faces is where they are; nothing that could tell one face from another is worked out (GDPR Art. 9).
"""

import os
import resource
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from PIL import Image

from fhir_server.kernel import json
from fhir_server.media.dimensions import require_pixels

SECONDS = 20
"""Of the processor."""
MOST_MEMORY = 2 << 30
"""Of addresses, most of which OpenCV's libraries reserve and never use."""
MISSING, FAILED = 3, 1
_LIMITS = (
    (resource.RLIMIT_CPU, SECONDS),
    (resource.RLIMIT_AS, MOST_MEMORY),
    (resource.RLIMIT_FSIZE, 64 << 20),
    (resource.RLIMIT_CORE, 0),
)
_CASCADES = tuple(f"haarcascade_{name}.xml" for name in ("frontalface_default", "frontalface_alt2", "profileface"))
_STEP, _NEIGHBOURS, _LEAST = 1.1, 3, 24
"""Rather one area too many, which nobody has to approve, than a face that is not found."""
_WHITE = 255.0
Limit: TypeAlias = Callable[[int, tuple[int, int]], None]


def main(kind: str, longest: int, given: BinaryIO, told: BinaryIO, limit: Limit = resource.setrlimit) -> int:
    """0, and the answer in `told`; MISSING where the library is not installed, FAILED for what it does not open."""
    for what, most in _LIMITS:
        limit(what, (most, most))
    data = given.read()
    try:
        told.write(faces(data) if kind == "faces" else _png(_OPENERS[kind](data), longest))
    except ImportError:
        return MISSING
    except Exception:  # noqa: BLE001  native libraries fail in as many ways as there are; none of their words leaves
        return FAILED
    return 0


def heic(data: bytes) -> Image.Image:
    """The primary picture, upright: libheif turns it."""
    from pi_heif.as_plugin import register_heif_opener

    register_heif_opener(thumbnails=False)
    found = Image.open(BytesIO(data), formats=("HEIF",))
    require_pixels(*found.size)
    return found


def dicom(data: bytes) -> Image.Image:
    """The first frame, in the window that the file asks for or else from its darkest to its lightest value."""
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    found = dcmread(BytesIO(data))
    require_pixels(int(found.Columns), int(found.Rows), int(found.get("NumberOfFrames") or 1))
    pixels = pixel_array(found, index=0)
    kind = str(found.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, found)
        deep = pixels.dtype.itemsize > 1
        return Image.fromarray((pixels >> 8).astype("uint8") if deep else pixels)
    if kind.startswith("MONOCHROME"):
        pixels = apply_voi_lut(apply_modality_lut(pixels, found), found)
    return Image.fromarray(_eight_bits(pixels, turned=kind == "MONOCHROME1"))


def video(data: bytes) -> Image.Image:
    """Its first picture, which way up it is shown."""
    import cv2

    place = os.memfd_create("video")
    with open(place, "wb") as written:  # noqa: PTH123  a descriptor, and in memory
        written.write(data)
        written.flush()
        film = cv2.VideoCapture(f"/proc/self/fd/{place}", cv2.CAP_FFMPEG)
        require_pixels(int(film.get(cv2.CAP_PROP_FRAME_WIDTH)), int(film.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        there, frame = film.read()
    if not there:
        raise ValueError("The video has no picture that opens.")
    return Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def faces(data: bytes) -> bytes:
    """Where faces may be, from the front or from either side: `[[left, top, width, height], …]` as JSON."""
    import cv2
    import numpy as np

    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as found:
        grey = np.asarray(found.convert("L"))
    folder = Path(cv2.__file__).parent / "data"
    boxes: list[tuple[int, int, int, int]] = []
    for name in _CASCADES:
        cascade = cv2.CascadeClassifier(str(folder / name))
        boxes += _found(cascade, grey)
        if name.startswith("haarcascade_profile"):
            boxes += [(grey.shape[1] - left - width, top, width, height) for left, top, width, height in
                      _found(cascade, np.ascontiguousarray(grey[:, ::-1]))]  # fmt: skip
    return json.encode(sorted(boxes))


def _found(cascade: Any, grey: Any) -> list[tuple[int, int, int, int]]:  # noqa: ANN401  OpenCV's and numpy's own
    found = cascade.detectMultiScale(grey, _STEP, _NEIGHBOURS, minSize=(_LEAST, _LEAST))
    return [(int(left), int(top), int(width), int(height)) for left, top, width, height in found]


def _eight_bits(pixels: Any, *, turned: bool) -> Any:  # noqa: ANN401  numpy's arrays, of many types
    if pixels.dtype.itemsize > 1 or pixels.dtype.kind != "u":
        pixels = pixels.astype("float64")
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (_WHITE / (high - low or 1.0))).astype("uint8")
    return 255 - pixels if turned else pixels


def _png(picture: Image.Image, longest: int) -> bytes:
    """With the colours' profile. `longest`: the edge that is wanted; 0 for all of it."""
    profile = picture.info.get("icc_profile")
    flat = picture.convert("RGBA" if "A" in picture.getbands() else "RGB")
    if longest:
        flat.thumbnail((longest, longest))
    written = BytesIO()
    flat.save(written, "PNG", compress_level=1, icc_profile=profile)
    return written.getvalue()


_OPENERS: Mapping[str, Callable[[bytes], Image.Image]] = {"heic": heic, "dicom": dicom, "video": video}


def run() -> int:
    """As a program: KIND LONGEST, a file on standard input, the answer on standard output."""
    return main(sys.argv[1], int(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
