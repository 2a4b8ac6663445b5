"""Photos that are broken, disguised, or not where photos belong: a clear refusal, and nothing is kept."""

import base64
import struct
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from fhir_server.media.consumer_clouds import HOSTS
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.unit.media import pictures
from tests.unit.media.drawn import face
from tests.unit.media.films import heic, mp4
from tests.unit.media.pictures import PLACE, exif, png_chunk, segment

pytestmark = pytest.mark.anyio

A_PAGE = b"<html><script>alert(1)</script></html>"
A_ZIP = b"PK\x03\x04\x14\x00\x00\x00" + bytes(40)


@pytest.fixture(scope="module")
async def person(clinic: InProcess) -> str:
    doctor = clinic.caller()
    stored = await doctor.store(patient())
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


def bomb(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return pictures.PNG_START + header + pictures.PIXELS + png_chunk(b"IEND")


BROKEN = {
    "a truncated JPEG": (face()[:-700], "image/jpeg"),
    "a truncated HEIC": (heic()[:-9], "image/heic"),
    "a truncated video": (mp4()[:-9], "video/mp4"),
    "a polyglot that begins as a page": (A_PAGE + face(), "image/jpeg"),
    "a polyglot between segments": (pictures.jpeg(A_PAGE), "image/jpeg"),
    "one by a thousand million pixels": (bomb(1, 1_000_000_000), "image/png"),
    "a thousand million by one": (bomb(1_000_000_000, 1), "image/png"),
    "no pixels at all": (bomb(0, 9), "image/png"),
    "another contentType": (face(), "image/png"),
    "a video called a picture": (mp4(), "image/jpeg"),
    "a drawing with a script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "image/svg+xml"),
    "a program": (b"\x7fELF" + bytes(200), "image/jpeg"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_broken_or_disguised_is_refused_and_nothing_is_kept(
    clinic: InProcess, person: str, what: str
) -> None:
    data, media_type = BROKEN[what]
    content = {"contentType": media_type, "data": base64.b64encode(data).decode()}
    before = await clinic.counts()

    answer = await clinic.caller().post("/fhir/Media", media(person, data, content=content))

    assert answer.status_code == 422
    assert read(answer)["issue"][0]["diagnostics"]
    assert await clinic.counts() == before


@pytest.mark.parametrize("behind", [A_PAGE, A_ZIP, face(), PLACE])
async def test_a_polyglot_loses_its_other_half(clinic: InProcess, person: str, behind: bytes) -> None:
    doctor, front = clinic.caller(), face(lines=2)

    stored = await doctor.store(media(person, front + behind))
    shown = await doctor.get(f"/fhir/{stored['content']['url']}")

    assert behind not in shown.content
    assert shown.content.endswith(b"\xff\xd9")


async def test_t33_exif_in_every_segment_goes(clinic: InProcess, person: str) -> None:
    doctor = clinic.caller()
    block = b"Exif\x00\x00" + exif()
    everywhere = [segment(marker, block) for marker in (*range(0xE0, 0xF0), 0xFE)]
    between = pictures.PICTURE.replace(segment(0xC4, pictures.HUFFMAN), everywhere[1] + segment(0xC4, pictures.HUFFMAN))

    stored = await doctor.store(media(person, pictures.jpeg(*everywhere, picture=between, after=block)))
    shown = await doctor.get(f"/fhir/{stored['content']['url']}")

    assert PLACE not in shown.content
    assert b"Exif" not in shown.content


async def test_t8_a_photo_without_a_patient_is_refused(clinic: InProcess) -> None:
    """A back end may bring a picture of no patient; nobody else may."""
    doctor = clinic.caller("user/*.cruds", role="practitioner", fhir_user="Practitioner/1")
    alone = {name: value for name, value in media("nobody", jpeg()).items() if name != "subject"}
    device = {**alone, "subject": {"reference": "Device/1"}}
    before = await clinic.counts()

    for body in (alone, device):
        assert (await doctor.post("/fhir/Media", body)).status_code in {403, 422}
    assert await clinic.counts() == before


def elsewhere(person: str) -> dict[str, Json]:
    """A photo of that patient wherever R4 has room for one."""
    attachment = {"contentType": "image/jpeg", "data": base64.b64encode(jpeg()).decode()}
    subject = {"reference": f"Patient/{person}"}
    document: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": subject,
        "content": [{"attachment": attachment}],
    }
    return {
        "DocumentReference": document,
        "Patient": patient(photo=[attachment]),
        "contained": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "skin"},
            "subject": subject,
            "contained": [{**document, "id": "a"}],
            "derivedFrom": [{"reference": "#a"}],
        },
        "Binary": {"resourceType": "Binary", "securityContext": subject, **attachment},
        "extension": patient(extension=[{"url": "urn:x", "valueBase64Binary": attachment["data"]}]),
    }


@pytest.mark.parametrize("place", ["DocumentReference", "Patient", "contained", "Binary", "extension"])
async def test_a_photo_outside_a_media_is_refused_to_people(clinic: InProcess, person: str, place: str) -> None:
    body = elsewhere(person)[place]
    nurse = clinic.caller("user/*.cruds", role="practitioner", fhir_user="Practitioner/1")
    before = await clinic.counts()

    answer = await nurse.post(f"/fhir/{body['resourceType']}", body)

    assert answer.status_code == 403
    assert await clinic.counts() == before


def linked(person: str, url: str) -> list[Json]:
    attachment: dict[str, Any] = {"contentType": "image/jpeg", "url": url}
    subject = {"reference": f"Patient/{person}"}
    return [
        {"resourceType": "Media", "status": "completed", "subject": subject, "content": attachment},
        patient(photo=[attachment]),
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": subject,
            "content": [{"attachment": attachment}],
        },
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://drive.google.com/file/d/1",
        "https://www.dropbox.com/s/1",
        "HTTPS://P12.ICLOUD.COM./1",
        "https://someone:secret@photos.google.com:443/1",
        "//1drv.ms/1",
        "https://faceboo\N{KELVIN SIGN}.com/1",
    ],
)
async def test_s89_s111_t_41_a_link_to_a_consumer_cloud_is_refused(clinic: InProcess, person: str, url: str) -> None:
    doctor = clinic.caller()
    before = await clinic.counts()

    for body in linked(person, url):
        answer = await doctor.post(f"/fhir/{body['resourceType']}", body)
        assert answer.status_code == 422
        assert "cloud" in read(answer)["issue"][0]["diagnostics"]
    assert await clinic.counts() == before


@pytest.mark.parametrize(
    "url", ["https://pacs.clinic.example/1", "https://notdropbox.com/1", "http://[bad", "urn:oid:1.2"]
)
async def test_a_link_elsewhere_is_nobodys_cloud(clinic: InProcess, person: str, url: str) -> None:
    assert url not in HOSTS
    for body in linked(person, url):
        answer = await clinic.caller().post(f"/fhir/{body['resourceType']}", body)
        assert "cloud" not in answer.text


async def test_the_address_of_an_extension_is_no_link(clinic: InProcess) -> None:
    named = patient(extension=[{"url": "https://drive.google.com/profile", "valueString": "x"}])

    assert (await clinic.caller().post("/fhir/Patient", named)).status_code == 201


async def test_nobody_brings_a_photo_by_naming_it(clinic: InProcess, person: str) -> None:
    """The url of somebody else's photo, and what the server itself would write, in a new Media."""
    doctor = clinic.caller()
    known = await doctor.store(media(person, jpeg()))
    body = {**media(person, b""), "content": known["content"]}

    assert (await doctor.post("/fhir/Media", body)).status_code == 422
    assert (await doctor.post("/fhir/Media", {**body, "content": {"url": "Binary/promised"}})).status_code == 422


async def test_the_digest_of_a_stored_photo_is_not_changed(clinic: InProcess, person: str) -> None:
    doctor: Caller = clinic.caller()
    stored = await doctor.store(media(person, jpeg()))
    content = {**stored["content"], "extension": stored["content"]["extension"][1:]}

    assert (await doctor.put(f"/fhir/Media/{stored['id']}", {**stored, "content": content})).status_code == 422
