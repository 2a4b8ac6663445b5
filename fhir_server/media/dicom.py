"""DICOM with the header that decoding needs, and no other: the picture stays bit for bit.

DICOM PS3.15 Annex E, stricter: what is not on the list goes, private elements and free text among it. Who the patient
is says Media.subject. A JPEG inside (PS3.5 section 8.2) is cleaned like any other: wrapped as it came from a camera, it
has GPS of its own. Read and written by pydicom.
"""

import hashlib
import warnings
from io import BytesIO
from typing import Any

from pydicom import Dataset, FileDataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, JPEGTransferSyntaxes, RLELossless

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.dimensions import require_pixels
from fhir_server.media.facts import Facts, device_name, when
from fhir_server.media.jpeg import clean_jpeg

_PIXELS = 0x7FE00010
_IMAGE = 0x0028
_KEPT = frozenset(
    {
        0x00080008,  # ImageType
        0x00080016,  # SOPClassUID
        0x00080060,  # Modality
        0x00200020,  # PatientOrientation
        0x00200060,  # Laterality
        0x00200062,  # ImageLaterality
        _PIXELS,
    }
)
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN", "UI", "DA", "DT", "TM"})
_UID_ROOT = "2.25."


def clean_dicom(data: bytes) -> tuple[bytes, Facts]:
    """Raises UnprocessableError for what pydicom cannot read, and for an object without pixels."""
    with warnings.catch_warnings():
        # What is wrong with values of a header that goes is nobody's concern.
        warnings.simplefilter("ignore")
        try:
            found = dcmread(BytesIO(data))
            facts = _facts(found)
            return _written(found), facts
        except UnprocessableError:
            raise
        except Exception:  # noqa: BLE001  pydicom's own faults are of many kinds, and quote values
            raise UnprocessableError("The DICOM file is damaged, or of a kind that is not known here.") from None


def _written(found: FileDataset) -> bytes:
    if _PIXELS not in found:
        raise UnprocessableError("The DICOM file holds no picture.")
    require_pixels(int(found.Columns), int(found.Rows), int(found.get("NumberOfFrames") or 1))
    kept = Dataset()
    for element in found:
        if element.tag in _KEPT or (element.tag.group == _IMAGE and element.VR not in {"SQ", *_TEXT}):
            kept[element.tag] = element
    kept[_PIXELS].value = _pixels(found)
    kept.SOPInstanceUID = _uid(kept.PixelData)
    kept.file_meta = found.file_meta.__class__()
    kept.file_meta.TransferSyntaxUID = found.file_meta.TransferSyntaxUID
    kept.file_meta.MediaStorageSOPClassUID = kept.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.77.1.4")
    kept.file_meta.MediaStorageSOPInstanceUID = kept.SOPInstanceUID
    written = BytesIO()
    kept.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _pixels(found: FileDataset) -> bytes:
    """The pixel data and nothing that rides in or behind it."""
    syntax, pixels = found.file_meta.TransferSyntaxUID, found.PixelData
    if syntax in JPEGTransferSyntaxes:
        frames = generate_frames(pixels, number_of_frames=int(found.get("NumberOfFrames") or 1))
        return encapsulate([clean_jpeg(frame) for frame in frames])
    if syntax == RLELossless:
        return bytes(pixels)
    if syntax.is_encapsulated:
        raise UnprocessableError("The pictures in a DICOM file are sent uncompressed, as RLE or as JPEG.")
    length = get_expected_length(found)
    if len(pixels) < length:
        raise UnprocessableError("The DICOM file is cut off: it has fewer pixels than it says.")
    return bytes(pixels[: length + length % 2])


def _uid(pixels: bytes) -> UID:
    """An instance must have one; the old one may be known elsewhere. The same pixels have the same."""
    return UID(_UID_ROOT + str(int.from_bytes(hashlib.sha256(pixels).digest()[:16])))


def _facts(found: Dataset) -> Facts:
    text: dict[str, Any] = {
        name: str(found.get(name) or "")
        for name in ("AcquisitionDateTime", "ContentDate", "ContentTime", "TimezoneOffsetFromUTC")
    }
    taken = text["AcquisitionDateTime"][:14] or text["ContentDate"] + text["ContentTime"][:6]
    camera = device_name(str(found.get("Manufacturer") or ""), str(found.get("ManufacturerModelName") or ""))
    return Facts(when(taken, text["TimezoneOffsetFromUTC"]), camera)
