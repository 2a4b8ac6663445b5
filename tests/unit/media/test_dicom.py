"""A cleaned DICOM file has its pixels and what decoding needs of its header."""

from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats
from fhir_server.media.dicom import clean_dicom
from fhir_server.media.formats import recognise
from fhir_server.media.metadata import clean
from tests.unit.media.drawn import face
from tests.unit.media.pictures import PLACE, exif_segment

PIXELS = bytes(range(16))
PHOTOGRAPH = UID("1.2.840.10008.5.1.4.1.1.77.1.4")


def dicom(syntax: Any = ExplicitVRLittleEndian, **more: Any) -> bytes:
    found = Dataset()
    for name, value in {
        "SOPClassUID": PHOTOGRAPH,
        "SOPInstanceUID": "1.2.3.4",
        "PatientName": "Sample^Ana",
        "PatientID": "12345",
        "InstitutionName": "Clinic of Ana",
        "AcquisitionDateTime": "20260301101500.123",
        "TimezoneOffsetFromUTC": "+0100",
        "Manufacturer": "Clinic",
        "ManufacturerModelName": "Cam 7",
        "Modality": "XC",
        "ImageComments": "Ana smiles",
        "Rows": 4,
        "Columns": 4,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": PIXELS,
        **more,
    }.items():
        if value is not None:
            setattr(found, name, value)
    found.private_block(0x0009, "Ana Corp", create=True).add_new(1, "LO", "Ana")
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = syntax
    found.file_meta.MediaStorageSOPClassUID = PHOTOGRAPH
    found.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    found.file_meta.SourceApplicationEntityTitle = "ANA"
    written = BytesIO()
    found.save_as(written, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_t33_a_dicom_file_names_nobody_and_keeps_its_pixels(syntax: Any) -> None:
    dirty = dicom(syntax)
    assert recognise(dirty) == formats.DICOM

    cleaned, facts = clean_dicom(dirty)
    assert clean(dirty, formats.DICOM) == cleaned

    assert b"Ana" in dirty
    assert b"Ana" not in cleaned
    assert b"ANA" not in cleaned
    kept = dcmread(BytesIO(cleaned))
    assert kept.PixelData == PIXELS
    assert (kept.Rows, kept.Columns, kept.Modality) == (4, 4, "XC")
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert "PatientName" not in kept
    assert "AcquisitionDateTime" not in kept
    assert kept.SOPInstanceUID.startswith("2.25.")
    assert facts.taken == datetime.fromisoformat("2026-03-01T10:15:00+01:00")
    assert facts.device == "Clinic Cam 7"
    assert clean_dicom(cleaned)[0] == cleaned


def test_b2_a_dicom_file_says_when_in_two_parts() -> None:
    found = dicom(AcquisitionDateTime=None, TimezoneOffsetFromUTC=None, ContentDate="20260301", ContentTime="101500")

    assert clean_dicom(found)[1].taken == datetime(2026, 3, 1, 10, 15)  # noqa: DTZ001  it names no time zone


COLOUR = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}


def wrapped(*frames: bytes, syntax: Any = JPEGBaseline8Bit, **more: Any) -> bytes:
    size = {"Rows": 800, "Columns": 600, "NumberOfFrames": len(frames)}
    return dicom(syntax, **COLOUR, **size, PixelData=encapsulate(list(frames)), **more)


def test_t33_a_jpeg_inside_a_dicom_file_tells_no_place() -> None:
    plain = clean(face(), formats.JPEG)
    dirty = plain[:2] + exif_segment() + plain[2:]

    cleaned, _ = clean_dicom(wrapped(dirty, dirty))

    assert PLACE in dirty
    assert PLACE not in cleaned
    assert (
        list(generate_frames(dcmread(BytesIO(cleaned)).PixelData, number_of_frames=2))
        == [plain + bytes(len(plain) % 2)] * 2
    )
    assert clean_dicom(cleaned)[0] == cleaned


def test_a_jpeg_that_is_cut_off_inside_a_dicom_file_is_refused() -> None:
    with pytest.raises(UnprocessableError):
        clean_dicom(wrapped(face()[:-300]))


def test_pictures_that_cannot_be_cleaned_inside_a_dicom_file_are_refused_in_words() -> None:
    with pytest.raises(UnprocessableError, match="as RLE or as JPEG"):
        clean_dicom(wrapped(b"\xff\x4f\xff\x51", syntax=JPEG2000Lossless))


def test_run_lengths_stay_as_they_are() -> None:
    coded = encapsulate([bytes(64) + PIXELS])

    assert dcmread(BytesIO(clean_dicom(dicom(RLELossless, PixelData=coded))[0])).PixelData == coded


def test_a_file_that_rides_behind_the_pixels_is_left_behind() -> None:
    cleaned, _ = clean_dicom(dicom(PixelData=PIXELS + b"PK\x03\x04 Ana" + bytes(2)))

    assert dcmread(BytesIO(cleaned)).PixelData == PIXELS


@pytest.mark.parametrize(
    "bad",
    [
        dicom()[:140],
        dicom(PixelData=PIXELS[:-2]),
        dicom(Rows=5),
        dicom(PixelData=None),
        dicom(Rows=0),
        dicom(Rows=65_535, Columns=65_535),
        dicom(NumberOfFrames=100_000_000),
        bytes(128) + b"DICM" + b"\xff" * 100,
        bytes(128) + b"DICM",
        b"\x08\x00\x16\x00UI" + b"\xff" * 90,
    ],
)
def test_a_dicom_file_without_a_sensible_picture_is_refused(bad: bytes) -> None:
    with pytest.raises(UnprocessableError):
        clean_dicom(bad)
