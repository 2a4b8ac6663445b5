"""Photographs and consent forms of NextMotion, asked for after a hint: made from the published shapes."""

from base64 import b64decode
from typing import Any

import pytest
from httpx2 import AsyncClient

from fhir_server.kernel import json
from mappers.runtime.wiring import Runtime
from tests.clinics import InProcess
from tests.flows.mappers.test_runtime import PATHS, SECRET, Vendors, hooks, runtime, search, vendors
from tests.mappers.golden import named
from tests.people import care_team
from tests.samples import jpeg

pytestmark = pytest.mark.anyio

__all__ = ["hooks", "runtime", "vendors"]

FILES = "https://files.vendor.example"
APPOINTMENT, PATIENT = "f11e5000-0000-4222-8333-444455556666", "f11e5000-1111-4222-8333-444455556666"
PDF = b"%PDF-1.4\n% invented\n"


def image(id: str, address: str) -> dict[str, Any]:
    return {"id": id, "name": "Left", "media_type": 0, "image": {"media_file": address, "file_uti": "public.jpeg"}}


@pytest.fixture(autouse=True)
def pages(vendors: Vendors) -> None:
    appointment = named("nextmotion/appointment-confirmed").message.raw
    assert b"c0ffee00-1111" in appointment
    given = json.decode(appointment)
    given |= {"id": APPOINTMENT, "patient": {**given["patient"], "id": PATIENT}}
    form = {"id": "cf-9", "name": "Consent", "status": 2, "document": {"media_file": f"{FILES}/cf?sig=capability"}}
    assets = [
        image("hidden", "https://169.254.169.254/latest/meta-data"),
        image("plain", "http://files.vendor.example/plain.jpg"),
        image("elsewhere", "https://files.vendor.example.attacker.example/x.jpg"),
        image("no-picture", f"{FILES}/cf?as=jpeg"),
        {"id": "film", "media_type": 1, "video": {"media_file": f"{FILES}/film"}},
        image("photo-9", f"{FILES}/photo?sig=capability"),
    ]
    vendors.pages |= {
        f"calendar_appointments/{APPOINTMENT}/treatments": {"data": [{"id": "t1", "consent_form": form}], "next": None},
        f"calendar_appointments/{APPOINTMENT}": given,
        f"patients/{PATIENT}/media_records?page=2": {"data": [], "next": "https://attacker.example/"},
        f"patients/{PATIENT}/media_records": {
            "data": [{"id": "mr-9", "name": "Face", "kind": 1, "media_assets": assets}],
            "next": f"https://api.nextmotion.net/open_api/v4/patients/{PATIENT}/media_records?page=2",
        },
        f"{FILES}/cf": PDF,
        f"{FILES}/photo": jpeg(),
    }


async def hinted(hooks: AsyncClient) -> None:
    hint = json.encode({"data": {"id": APPOINTMENT}})
    answer = await hooks.post(f"/hooks/{PATHS['nextmotion']}", content=hint, headers={"X-Webhook-Secret": SECRET})
    assert answer.status_code == 200


async def test_s115_m22_photographs_and_consent_forms_come_once_and_permit_nothing(
    clinic: InProcess, hooks: AsyncClient, vendors: Vendors, runtime: Runtime
) -> None:
    await hinted(hooks)
    first = [str(request.url) for request in vendors.asked]
    vendors.asked.clear()
    await hinted(hooks)

    # Only at the hosts that the clinic named, and the key goes to the API alone.
    asked = {url.split("/")[2] for url in first}
    assert asked == {"api.nextmotion.net", "files.vendor.example"}
    again = [request for request in vendors.asked if "files.vendor.example" in str(request.url)]
    assert not [request for request in again if "photo" in str(request.url) or "sig" in str(request.url)]
    assert all("authorization" not in request.headers for request in again)

    [patient] = await search(clinic, f"Patient?identifier={PATIENT}")
    [form] = await search(clinic, "DocumentReference?identifier=cf-9")
    assert form["subject"] == {"reference": f"Patient/{patient['id']}"}
    assert not await search(clinic, f"Consent?patient=Patient/{patient['id']}")

    nurse = clinic.caller("user/*.rs", fhir_user="Practitioner/nxm", role="practitioner")
    stranger = clinic.caller("user/*.rs", fhir_user="Practitioner/nobody", role="practitioner")
    await clinic.caller().store(care_team(patient["id"], "Practitioner/nxm"))
    [photo] = [
        entry["resource"]
        for entry in json.decode((await nurse.get(f"/fhir/Media?patient=Patient/{patient['id']}")).content)["entry"]
    ]
    assert {"imported", "evidence-missing"} <= {tag["code"] for tag in photo["meta"]["tag"]}
    assert (await stranger.get(f"/fhir/Media/{photo['id']}")).status_code in {403, 404}


async def test_bad_input_files_that_are_not_taken_are_told_to_a_person_and_stop_nothing(
    clinic: InProcess, hooks: AsyncClient, runtime: Runtime
) -> None:
    await hinted(hooks)
    await hinted(hooks)

    tasks = await search(clinic, "Task?identifier=nextmotion/media_records&status=failed")
    reasons = sorted(task["statusReason"]["text"] for task in tasks)
    assert reasons == [
        "It says nothing of an image or a document.",
        "The file is of a kind that is not taken, or not of the kind that it is said to be.",
        *["This source is asked at its own hosts only."] * 3,
    ]
    records = await search(clinic, "DocumentReference?identifier=nextmotion/media_records")
    for record in records:
        kept = record["content"][0]["attachment"]["data"]
        text = json.encode(record).decode() + b64decode(kept).decode()
        assert "capability" not in text
        assert '"data":' not in b64decode(kept).decode()
    assert len(records) == len(tasks) + 1
