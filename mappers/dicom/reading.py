"""A VL Photographic Image -> Media, with the JPEG that it encloses, byte for byte.

DICOM PS3.3 A.32.4, PS3.5 A.4; pydicom reads. What encloses no JPEG is refused: to decode it would make other bytes.
"""

import warnings
from base64 import b64encode
from io import BytesIO
from typing import Any

from pydicom import Dataset, FileDataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGBaseline8Bit

from mappers.dicom.vocabulary import LATERALITY, PHOTOGRAPHIC, SCHEMES
from mappers.mapping.assembly import mapping
from mappers.mapping.entries import once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import OURS, identifier
from mappers.mapping.instants import day, local, sortable, with_offset, written
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import human_name, patient
from mappers.mapping.result import Loss, Mapping, Order

NAME = "dicom"
MOST_BYTES = 64 * 1024 * 1024
_GENDERS = {"F": "female", "M": "male", "O": "other"}
_PADDED = b"\xff\xd9\x00"
_NO_PLACE = "FHIR has no element for it that this mapper fills."
_TAKEN = frozenset(
    {"SOPClassUID", "SOPInstanceUID", "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"}
    | {"AcquisitionDateTime", "ContentDate", "ContentTime", "TimezoneOffsetFromUTC", "AnatomicRegionSequence"}
    | {"ViewCodeSequence", "ImageLaterality", "Manufacturer", "ManufacturerModelName", "PixelData", "NumberOfFrames"}
    | {"Rows", "Columns", "Modality"}
)
_OF_PIXELS = 0x0028


def read(message: Message, tables: Tables) -> Mapping:
    if len(message.raw) > MOST_BYTES:
        raise UnusableError("The file is too large.")
    with warnings.catch_warnings():
        # Values that break the rules of their type are read as they are, or are not asked for.
        warnings.simplefilter("ignore")
        return _mapped(*_opened(message.raw), message, tables)


def _mapped(found: Dataset, jpeg: bytes, message: Message, tables: Tables) -> Mapping:
    id, uid = str(found.get("PatientID") or ""), str(found.get("SOPInstanceUID") or "")
    if not id or not uid:
        raise UnusableError("PatientID or SOPInstanceUID is missing.")
    issuer = str(found.get("IssuerOfPatientID") or "")
    who = once(_patient(found, f"{OURS}:dicom:{issuer}" if issuer else f"{OURS}:dicom", id))
    taken = once(_media(found, who, uid, jpeg, tables))
    lost = [Loss(one.keyword or str(one.tag), _NO_PLACE) for one in found if _is_lost(one)]
    order = Order(0, sortable(message.received))
    return mapping(NAME, message, uid, order, [who, taken], lost, unsure=[who])


def without_picture(raw: bytes) -> bytes:
    """The header alone: a photograph lies nowhere but behind its gate."""
    buffer = BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcmread(buffer, stop_before_pixels=True)
    except Exception:  # noqa: BLE001  pydicom's own faults are of many kinds; what cannot be read is not kept
        return b"(not DICOM, not kept here)"
    return raw[: buffer.tell()]


def _opened(raw: bytes) -> tuple[Dataset, bytes]:
    try:
        found = dcmread(BytesIO(raw))
        jpeg = _enclosed(found)
    except UnusableError:
        raise
    except Exception:  # noqa: BLE001  pydicom's own faults are of many kinds, and quote values
        raise UnusableError("The file is not DICOM, or damaged.") from None
    # PS3.5 A.4: a fragment of odd length is padded by one byte.
    return found, jpeg[:-1] if jpeg.endswith(_PADDED) else jpeg


def _enclosed(found: FileDataset) -> bytes:
    if found.get("SOPClassUID") != PHOTOGRAPHIC:
        raise UnusableError("SOPClassUID is not that of a VL Photographic Image.")
    if found.file_meta.get("TransferSyntaxUID") != JPEGBaseline8Bit or found.get("NumberOfFrames", 1) != 1:
        raise UnusableError("It does not enclose one JPEG.")
    [jpeg] = generate_frames(found.PixelData, number_of_frames=1)
    return jpeg


def _patient(found: Dataset, system: str, id: str) -> Json:
    name = found.get("PatientName")
    known = human_name(None, str(name.family_name), str(name.given_name), str(name.name_prefix)) if name else None
    born = str(found.get("PatientBirthDate") or "")
    return patient(
        system,
        id,
        known,
        gender=_GENDERS.get(str(found.get("PatientSex") or "")),
        birthDate=day(f"{born[:4]}-{born[4:6]}-{born[6:8]}"),
    )


def _media(found: Dataset, who: Json, uid: str, jpeg: bytes, tables: Tables) -> Json:
    device = " ".join(filter(None, (str(found.get(name) or "") for name in ("Manufacturer", "ManufacturerModelName"))))
    site = _coded(found.get("AnatomicRegionSequence"))
    side = LATERALITY.get(str(found.get("ImageLaterality") or ""))
    if site and side:
        site["coding"].append(side)
    media: Json = {
        "resourceType": "Media",
        "identifier": [identifier("urn:dicom:uid", f"urn:oid:{uid}")],
        "status": "completed",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "image"}]},
        "subject": {"reference": who["fullUrl"]},
        "createdDateTime": _taken(found, tables),
        "bodySite": site,
        "view": _coded(found.get("ViewCodeSequence")),
        "deviceName": device,
        "height": int(found.get("Rows") or 0),
        "width": int(found.get("Columns") or 0),
        "content": {"contentType": "image/jpeg", "data": b64encode(jpeg).decode()},
    }
    return {element: value for element, value in media.items() if value}


def _taken(found: Dataset, tables: Tables) -> str | None:
    """A time without an offset is in the zone of the file, else in the clinic's; a day alone is no time."""
    text = str(found.get("AcquisitionDateTime") or "")
    text = text or str(found.get("ContentDate") or "") + str(found.get("ContentTime") or "")
    digits, sign, offset = text[:14], text[-5:-4], text[-5:]
    if len(digits) < len("YYYYMMDDHHMMSS") or not digits.isdigit():
        return None
    wall = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}"
    zone = offset if sign in {"+", "-"} else str(found.get("TimezoneOffsetFromUTC") or "")
    moment = with_offset(wall + zone, "AcquisitionDateTime") if zone else None
    return written(moment or local(wall, tables.zone, "AcquisitionDateTime"))


def _coded(sequence: Any) -> Json | None:  # noqa: ANN401  pydicom does not type what a sequence is
    if not sequence:
        return None
    [one, *_] = sequence
    system = SCHEMES.get(str(one.get("CodingSchemeDesignator") or ""))
    code, text = str(one.get("CodeValue") or ""), str(one.get("CodeMeaning") or "")
    if system is None or not code:
        return {"text": text} if text else None
    return {"coding": [{"system": system, "code": code, **({"display": text} if text else {})}]}


def _is_lost(element: Any) -> bool:  # noqa: ANN401  as above
    return element.keyword not in _TAKEN and element.tag.group != _OF_PIXELS and not element.is_empty
