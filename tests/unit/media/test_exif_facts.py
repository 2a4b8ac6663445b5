"""What a camera noted is read from its Exif block, and from nothing that only looks like one."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from fhir_server.engine.change import Change
from fhir_server.kernel.errors import NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.exif import exif_facts
from fhir_server.media.facts import Facts, device_name, when
from fhir_server.media.intake import owners_of
from fhir_server.media.vocabulary import EXPOSURE
from tests.unit.media.pictures import exif, exif_of_a_camera, tiff_directory

PARIS = timezone(timedelta(hours=1))


@pytest.mark.parametrize("little", [True, False])
def test_b2_time_camera_and_exposure_are_read_in_either_byte_order(*, little: bool) -> None:
    facts = exif_facts(b"Exif\x00\x00" + exif_of_a_camera(taken="2026:03:01 10:15:00", offset="+01:00", little=little))

    assert facts.taken == datetime(2026, 3, 1, 10, 15, tzinfo=PARIS)
    assert facts.device == "Clinic Cam 7"
    assert {name: value for name, _, value in facts.exposure} == {
        "exposureTime": Decimal("0.008"),
        "fNumber": Decimal("2.8"),
        "iso": 200,
        "focalLength": Decimal(50),
        "whiteBalance": "manual",
    }


@pytest.mark.parametrize("block", [b"", b"II*\x00", exif(), b"MM\x00*\xff\xff\xff\xff", exif_of_a_camera()[:60]])
def test_a_block_that_tells_nothing_or_lies_tells_nothing(block: bytes) -> None:
    facts = exif_facts(block)

    assert (facts.taken, facts.exposure) == (None, ())


def test_values_of_another_kind_are_no_values() -> None:
    odd = tiff_directory({0x010F: (3, b"\x00\x01"), 0x8769: (2, b"abc\x00"), 0x0132: (3, b"\x00\x01")}, 90, ">")

    assert exif_facts(b"MM\x00*\x00\x00\x00\x08" + odd) == Facts()


def test_a_ratio_by_nothing_is_none() -> None:
    inner = tiff_directory({0x829A: (5, bytes(8)), 0x829D: (3, b"\x00\x01")}, 26 + 2 + 24 + 4, ">") + bytes(8)
    outer = tiff_directory({0x8769: (4, b"\x00\x00\x00\x1a")}, 0, ">")

    assert exif_facts(b"MM\x00*\x00\x00\x00\x08" + outer + inner) == Facts()


def test_a_time_without_a_zone_is_the_clinics() -> None:
    facts = Facts(datetime(2026, 3, 1, 10, 15), "Cam")  # noqa: DTZ001  the camera named no time zone

    assert facts.moved_into({}, PARIS) == {"createdDateTime": "2026-03-01T10:15:00+01:00", "deviceName": "Cam"}


def test_what_the_media_says_itself_stands() -> None:
    said = {
        "createdPeriod": {"start": "2026-03-01"},
        "device": {"reference": "Device/1"},
        "extension": [{"url": EXPOSURE, "extension": [{"url": "iso", "valuePositiveInt": 100}]}],
    }
    facts = Facts(datetime(2026, 3, 1, tzinfo=UTC), "Cam", (("iso", "valuePositiveInt", 200),))

    assert facts.moved_into(said, UTC) == said
    assert facts.moved_into({}, UTC)["extension"][0]["extension"] == [{"url": "iso", "valuePositiveInt": 200}]


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("2026:03:01 10:15:00", "later", datetime(2026, 3, 1, 10, 15)),  # noqa: DTZ001  no time zone was named
        ("20260301101500", "+0100", datetime(2026, 3, 1, 10, 15, tzinfo=PARIS)),
        ("0000:00:00 00:00:00", "", None),
        ("", "", None),
    ],
)
def test_a_time_is_read_as_cameras_write_it(text: str, offset: str, expected: datetime | None) -> None:
    assert when(text, offset) == expected


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Clinic", "Cam 7"), "Clinic Cam 7"),
        (("Cam", "Cam 7"), "Cam 7"),
        (("", "\x00Cam\n 7"), "Cam 7"),
        (("Cam", ""), "Cam"),
        ((), ""),
    ],
)
def test_a_camera_has_one_name(parts: tuple[str, ...], name: str) -> None:
    assert device_name(*parts) == name


def test_without_a_legal_basis_nothing_is_taken_in() -> None:
    with pytest.raises(NoLegalBasisError):
        owners_of(Change(ResourceKey("Media", "1"), {"resourceType": "Media", "subject": {"reference": "Patient/1"}}))
