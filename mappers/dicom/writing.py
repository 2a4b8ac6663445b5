"""Media and its JPEG -> a VL Photographic Image that encloses the picture byte for byte.

DICOM PS3.3 A.32.4. Uids are derived from the server's ids, so that the same photograph is the same instance each time.
"""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from uuid import UUID, uuid5

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEGBaseline8Bit

from mappers.dicom.vocabulary import DESIGNATORS, PHOTOGRAPHIC, SIDES
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json

_NAMESPACE = UUID("0f6d1d0e-6a0b-5d0e-8c53-5c7f0a1b9e42")
_SEXES = {"female": "F", "male": "M", "other": "O"}
_JPEG = b"\xff\xd8"
_MARKER, _BASELINE = 0xFF, 0xC0
_FRAME_HEADER = 10
_WHOLE_DAY = len("YYYY-MM-DD")
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Frame:
    rows: int
    columns: int
    samples: int


def photographic(media: Json, patient: Json, jpeg: bytes) -> bytes:
    """`jpeg`: as the server gave it, to who may have it. Only a baseline JPEG can be enclosed as one."""
    frame = _frame(jpeg)
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = PHOTOGRAPHIC, _uid(f"Media/{media['id']}")
    made.StudyInstanceUID, made.SeriesInstanceUID = _uid(f"Patient/{patient['id']}"), _uid(f"Series/{media['id']}")
    made.Modality, made.StudyID, made.SeriesNumber, made.InstanceNumber = "XC", "", 1, 1
    made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    _about(made, media)
    _of(made, patient)
    made.Rows, made.Columns, made.SamplesPerPixel = frame.rows, frame.columns, frame.samples
    made.PhotometricInterpretation = "YBR_FULL_422" if frame.samples > 1 else "MONOCHROME2"
    if frame.samples > 1:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.PixelData = encapsulate([jpeg])
    made["PixelData"].is_undefined_length = True
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.file_meta.MediaStorageSOPClassUID = UID(PHOTOGRAPHIC)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    written = BytesIO()
    made.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _about(made: Dataset, media: Json) -> None:
    taken = media.get("createdDateTime")
    if taken and "T" in taken:
        moment = datetime.fromisoformat(taken)
        made.AcquisitionDateTime = moment.strftime("%Y%m%d%H%M%S") + (moment.strftime("%z") or "")
        made.ContentDate, made.ContentTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    made.SpecificCharacterSet = "ISO_IR 192"
    made.Manufacturer, made.ManufacturerModelName = "", media.get("deviceName", "")
    codings = media.get("bodySite", {}).get("coding", ())
    sides = [SIDES[one["code"]] for one in codings if one.get("code") in SIDES]
    if sides:
        made.ImageLaterality = sides[0]
    for name, concepts in (("AnatomicRegionSequence", codings), ("ViewCodeSequence", _codings(media, "view"))):
        found = [_coded(one) for one in concepts if one.get("system") in DESIGNATORS and one.get("code") not in SIDES]
        if found:
            setattr(made, name, Sequence(found[:1]))


def _of(made: Dataset, patient: Json) -> None:
    known = patient.get("identifier", [{}])[0]
    made.PatientID, made.IssuerOfPatientID = known.get("value", patient["id"]), known.get("system", "")[:64]
    name = patient.get("name", [{}])[0]
    made.PatientName = f"{name.get('family', name.get('text', ''))}^{' '.join(name.get('given', ()))}"
    born = patient.get("birthDate", "")
    made.PatientBirthDate = born.replace("-", "") if len(born) == _WHOLE_DAY else ""
    made.PatientSex = _SEXES.get(patient.get("gender", ""), "")


def _codings(media: Json, element: str) -> list[Json]:
    found: list[Json] = media.get(element, {}).get("coding", [])
    return found


def _coded(coding: Json) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = coding["code"], DESIGNATORS[coding["system"]]
    made.CodeMeaning = str(coding.get("display", coding["code"]))[:64]
    return made


def _uid(name: str) -> UID:
    return UID(f"2.25.{uuid5(_NAMESPACE, name).int}")


def _frame(jpeg: bytes) -> Frame:
    """ISO/IEC 10918-1 B.2.2: the frame header, before any scan. UnusableError for what is no baseline JPEG."""
    place = len(_JPEG)
    while jpeg.startswith(_JPEG) and place + _FRAME_HEADER <= len(jpeg) and jpeg[place] == _MARKER:
        marker = jpeg[place + 1]
        if marker == _BASELINE:
            rows, columns = (int.from_bytes(jpeg[place + at : place + at + 2]) for at in (5, 7))
            return Frame(rows, columns, jpeg[place + 9])
        if marker in _OTHER_FRAMES:
            break
        place += 2 if marker in _WITHOUT_LENGTH else 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    raise UnusableError("The picture is no baseline JPEG.")
