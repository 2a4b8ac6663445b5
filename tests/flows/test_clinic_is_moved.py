"""S96, M22; HDS requirement 27: a clinic moves to another host, with all versions, ids, times, photos, and is the same."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.recipient import Recipient, new_pair
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.privacy.reversibility import exporting
from tests.clinics import InProcess, read, running
from tests.flows.moving import NEXT_HOST, PRIVATE, PUBLIC, asked, export, members, opened, packed, take_in
from tests.people import staff
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

PHOTO, SCAN = jpeg(1_200_000, plain=True), base64.b64encode(bytes(900_000)).decode()


@pytest.fixture(scope="module", autouse=True)
def _at_once() -> object:
    """What was written a moment ago is in the archive: nobody else writes here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "LEEWAY", timedelta(seconds=-5))
        yield


@pytest.fixture(scope="module")
async def before(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "host_before", tmp_path_factory.mktemp("before"), worker_interval=3600) as clinic:
        await fill(clinic)
        yield clinic


@pytest.fixture(scope="module")
async def archive(before: InProcess) -> bytes:
    answer = await export(before)
    assert answer.status_code == 200, answer.text
    return answer.content


async def fill(clinic: InProcess) -> None:
    """Patients of several versions, one of them deleted; consents, photos, a large document, an order of the clinic."""
    doctor = clinic.caller()
    await doctor.store({"resourceType": "Organization", "id": NEXT_HOST, "name": "Next host"})
    await doctor.store({**patient("Movedsen"), "id": "moved"})
    await doctor.put("/fhir/Patient/moved", {**patient("Movedsen"), "id": "moved", "birthDate": "1974-12-25"})
    await doctor.store({**patient("Gonesen"), "id": "gone"})
    await doctor.delete("/fhir/Patient/gone")
    await doctor.store({**consent("moved"), "id": "agreed"})
    await doctor.store({**consent("moved", "website"), "id": "withdrawn"})
    await doctor.post("/fhir/Consent/withdrawn/$withdraw")
    while (leased := await clinic.clinic.store.tasks.lease()) is not None:
        await clinic.clinic.store.tasks.done(leased)
    await doctor.store({**media("moved", PHOTO), "id": "face"})
    await doctor.store({**document(SCAN), "id": "scan"})
    await doctor.put("/fhir/DocumentReference/scan", {**document(SCAN), "id": "scan", "status": "superseded"})
    number = {"value": json.decode(b"1.50"), "unit": "ml"}
    await doctor.store({**observed(), "id": "amount", "valueQuantity": number})


def observed() -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "amount"},
        "subject": {"reference": "Patient/moved"},
    }


def document(data: str) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/moved"},
        "content": [{"attachment": {"contentType": "application/pdf", "data": data}}],
    }


async def test_s_96_what_another_clinic_takes_in_is_the_same_to_the_byte(
    before: InProcess, archive: bytes, mongo_uri: str, tmp_path: Path
) -> None:
    async with running(mongo_uri, "host_after", tmp_path / "after", worker_interval=3600) as after:
        assert await take_in(after, archive, before, tmp_path) == 0
        again = (await export(after)).content
        photo = await after.caller().get(f"/fhir/{(await face(after))['content']['url']}")
        history = read(await after.caller().get("/fhir/Patient/moved/_history"))
        tokens = read(await after.caller().get("/fhir/Patient?family=movedsen"))
        decided = await staff(after, "practitioner").get("/fhir/Media/face")

    there, here = opened(archive), opened(again)
    assert there.versions == here.versions == sorted(there.versions)
    assert [place[:3] for place in here.versions if place[0] == "Patient"] == [
        *(["Patient", "gone", 1], ["Patient", "gone", 2], ["Patient", "moved", 1], ["Patient", "moved", 2])
    ]
    assert there.lines("photo-list") == here.lines("photo-list")
    assert there.lines("resources") == here.lines("resources")
    assert there.lines("heads") == here.lines("heads")
    assert photo.content == PHOTO
    assert [one["resource"]["meta"] for one in history["entry"]] == [
        one["resource"]["meta"] for one in read(await before.caller().get("/fhir/Patient/moved/_history"))["entry"]
    ]
    assert tokens["total"] == 1
    assert decided.status_code in {200, 403, 404}


async def face(clinic: InProcess) -> Json:
    found: Json = read(await clinic.caller().get("/fhir/Media/face"))
    return found
