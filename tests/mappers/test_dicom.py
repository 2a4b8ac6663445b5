"""DICOM photographs in and out: the picture stays byte for byte, whatever lies around it. M22."""

import hashlib
from base64 import b64decode
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from fhir_server.fhir.validation import validate
from mappers.dicom.reading import read, without_picture
from mappers.dicom.writing import photographic
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables
from tests.mappers.golden import RECEIVED
from tests.samples import jpeg

SNOMED = "http://snomed.info/sct"
MEDIA: dict[str, Any] = {
    "resourceType": "Media",
    "id": "m1",
    "status": "completed",
    "createdDateTime": "2026-03-01T09:30:00+01:00",
    "deviceName": "Canon EOS",
    "bodySite": {
        "coding": [
            {"system": SNOMED, "code": "89545001", "display": "Face"},
            {"system": SNOMED, "code": "7771000", "display": "Left"},
        ]
    },
    "view": {"coding": [{"system": SNOMED, "code": "399033003", "display": "frontal"}]},
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:example:mrn", "value": "4471"}],
    "name": [{"family": "Lefèvre", "given": ["Zoé"]}],
    "birthDate": "1990-07-14",
    "gender": "female",
}
EVEN, ODD = jpeg(2_000, plain=True), jpeg(2_001, plain=True)


def mapped(raw: bytes, tables: Tables | None = None) -> dict[str, Any]:
    entries = read(Message(raw, RECEIVED), tables or Tables()).bundle["entry"]
    return {one["resource"]["resourceType"]: one["resource"] for one in entries}


def altered(**elements: Any) -> bytes:
    found = dcmread(BytesIO(photographic(MEDIA, PATIENT, EVEN)))
    for name, value in elements.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    written = BytesIO()
    found.save_as(written)
    return written.getvalue()


@pytest.mark.parametrize("picture", [EVEN, ODD], ids=["even", "odd"])
def test_m22_a_picture_goes_out_and_comes_back_byte_for_byte(picture: bytes) -> None:
    found = mapped(photographic(MEDIA, PATIENT, picture))

    back = b64decode(found["Media"]["content"]["data"])
    assert hashlib.sha256(back).digest() == hashlib.sha256(picture).digest()


def test_m22_what_is_said_of_a_photograph_comes_back() -> None:
    found = mapped(photographic(MEDIA, PATIENT, EVEN))

    media, patient = found["Media"], found["Patient"]
    assert media["createdDateTime"] == "2026-03-01T08:30:00Z"
    assert (media["bodySite"], media["view"]) == (MEDIA["bodySite"], MEDIA["view"])
    assert media["deviceName"] == "Canon EOS"
    assert patient["name"] == [{"family": "Lefèvre", "given": ["Zoé"]}]
    assert (patient["birthDate"], patient["gender"]) == ("1990-07-14", "female")
    assert patient["identifier"][0]["value"] == "4471"
    for resource in found.values():
        validate(resource, with_models=True)


def test_the_same_photograph_is_the_same_instance_each_time() -> None:
    first, second = (dcmread(BytesIO(photographic(MEDIA, PATIENT, EVEN))) for _ in range(2))

    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.SOPClassUID == "1.2.840.10008.5.1.4.1.1.77.1.4"
    assert (first.Rows, first.Columns, first.Modality) == (second.Rows, second.Columns, "XC")


def test_of_little_little_is_said() -> None:
    found = mapped(photographic({"id": "m2"}, {"id": "p2"}, EVEN))

    assert found["Patient"]["identifier"][0]["value"] == "p2"
    assert not found["Patient"].keys() & {"birthDate", "gender", "name"}
    assert not found["Media"].keys() & {"createdDateTime", "bodySite", "view", "deviceName"}


def test_a_time_without_an_offset_is_in_the_zone_of_the_file_or_of_the_clinic_and_else_refused() -> None:
    raw = altered(AcquisitionDateTime=None)
    with_zone = altered(AcquisitionDateTime=None, TimezoneOffsetFromUTC="+0200")

    assert mapped(raw, Tables(ZoneInfo("Europe/Paris")))["Media"]["createdDateTime"] == "2026-03-01T08:30:00Z"
    assert mapped(with_zone)["Media"]["createdDateTime"] == "2026-03-01T07:30:00Z"
    with pytest.raises(UnusableError):
        mapped(raw)


def test_what_has_no_place_is_named_and_codes_of_unknown_schemes_are_words() -> None:
    raw = altered(StudyDescription="Before treatment", ImageLaterality=None)
    found = dcmread(BytesIO(raw))
    found.AnatomicRegionSequence[0].CodingSchemeDesignator = "99LOCAL"
    written = BytesIO()
    found.save_as(written)

    mapping = read(Message(written.getvalue(), RECEIVED), Tables())

    assert "StudyDescription" in {loss.path for loss in mapping.losses}
    assert not any("Before treatment" in str(loss) for loss in mapping.losses)
    [media] = [one["resource"] for one in mapping.bundle["entry"] if one["resource"]["resourceType"] == "Media"]
    assert media["bodySite"] == {"text": "Face"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 200,
        photographic(MEDIA, PATIENT, EVEN)[:900],
        altered(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        altered(NumberOfFrames=2),
        altered(PatientID=""),
        altered(SOPInstanceUID=""),
        b"\x00" * (64 * 1024 * 1024 + 1),
    ],
    ids=["nothing", "noughts", "truncated", "a scan", "two frames", "nobody's", "without uid", "too large"],
)
def test_what_is_no_photograph_of_somebody_is_refused(raw: bytes) -> None:
    with pytest.raises(UnusableError):
        read(Message(raw, RECEIVED), Tables())


def test_another_transfer_syntax_is_refused() -> None:
    found = dcmread(BytesIO(photographic(MEDIA, PATIENT, EVEN)))
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found["PixelData"].is_undefined_length = False
    written = BytesIO()
    found.save_as(written, enforce_file_format=True)

    with pytest.raises(UnusableError, match="enclose"):
        mapped(written.getvalue())


@pytest.mark.parametrize(
    "picture", [b"", b"\xff\xd8", EVEN[:30], EVEN.replace(b"\xff\xc0", b"\xff\xc2", 1), b"\x89PNG" * 9]
)
def test_what_is_no_baseline_jpeg_is_not_enclosed(picture: bytes) -> None:
    with pytest.raises(UnusableError):
        photographic(MEDIA, PATIENT, picture)


def test_of_a_photograph_the_header_alone_is_kept() -> None:
    raw = photographic(MEDIA, PATIENT, EVEN)

    kept = without_picture(raw)

    assert raw.startswith(kept)
    assert EVEN[100:200] not in kept
    assert without_picture(b"\x00" * 200) == b"(not DICOM, not kept here)"
