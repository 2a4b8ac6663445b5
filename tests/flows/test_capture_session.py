"""A device brings photographs in a session of its own: of one patient, on one decision, with a key that it keeps."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response
from joserfc.jwk import ECKey

from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import DEVICE_KEY, RECEIVED, SHA_256
from tests.clinics import Caller, InProcess, read
from tests.flows.device import KEY, Device
from tests.people import care_team, staff
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio
NURSE = "Practitioner/capturing"


def digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture(scope="module")
def nurse(clinic: InProcess) -> Caller:
    return staff(clinic, "nurse", person=NURSE)


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


def tablet(status: str = "active", key: ECKey = KEY) -> Json:
    identifier = [{"system": DEVICE_KEY, "value": key.thumbprint()}]
    return {"resourceType": "Device", "status": status, "identifier": identifier}


@pytest.fixture
async def device(nurse: Caller) -> Json:
    return await nurse.store(tablet())


async def somebody(office: Caller, *, agrees: bool = True) -> str:
    stored = await office.store(patient())
    await office.store(care_team(stored["id"], NURSE))
    if agrees:
        await office.store(consent(stored["id"]))
    return str(stored["id"])


async def begin(by: Caller, clinic: InProcess, patient_id: str, device: Json, **headers: str) -> Response:
    parameters = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient_id}"}},
        {"name": "device", "valueReference": {"reference": f"Device/{device['id']}"}},
    ]
    shown = {"DPoP": Device(clinic).proof("POST", "/Media/$capture-session"), **headers}
    body: Json = {"resourceType": "Parameters", "parameter": parameters}
    return await by.post(
        "/fhir/Media/$capture-session", body, **{name: value for name, value in shown.items() if value}
    )


def told(answer: Response) -> Mapping[str, Any]:
    assert answer.status_code == 201, answer.text
    return {
        one["name"]: next(value for name, value in one.items() if name != "name") for one in read(answer)["parameter"]
    }


async def session(by: Caller, clinic: InProcess, patient_id: str, device: Json) -> Device:
    return Device(clinic, told(await begin(by, clinic, patient_id, device))["token"])


async def test_m20_t36_the_answer_names_what_was_received_and_what_is_stored(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person, sent = await somebody(office), jpeg()
    said = told(await begin(nurse, clinic, person, device))
    phone = Device(clinic, said["token"])
    now = clinic.clinic.surface.clock.now()
    assert said["token-type"] == "DPoP"
    assert said["basis"].startswith("Consent/")
    assert instant(now) < said["expires"] <= instant(now + timedelta(minutes=15))

    whole = await phone.ask("POST", "/Media", media(person, sent))
    waits = read(
        await phone.ask(
            "POST", "/Media", {**media(person, b""), "status": "preparation", "content": {"contentType": "image/jpeg"}}
        )
    )
    pieces = await phone.ask("POST", f"/Media/{waits['id']}/$upload", sent, Content_Type="image/jpeg")

    for answer in (whole, pieces):
        stored = read(answer)
        digests = {one["url"]: one["valueBase64Binary"] for one in stored["content"]["extension"]}
        kept = (await nurse.get(f"/fhir/{stored['content']['url']}")).content
        assert (digests[RECEIVED], digests[SHA_256]) == (digest(sent), digest(kept))


async def test_m20_t35_a_lost_device_is_revoked_at_once(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    """T35: whoever may write the Device revokes it; the token and its key are good for nothing from then on."""
    device = await nurse.store(tablet())
    person = await somebody(office)
    phone = await session(nurse, clinic, person, device)
    assert (await phone.photo(person)).status_code == 201

    await office.put(f"/fhir/Device/{device['id']}", {**device, "status": "inactive"})

    answer = await phone.photo(person)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("DPoP ")
    assert (await begin(nurse, clinic, person, device)).status_code == 422
    await office.put(f"/fhir/Device/{device['id']}", tablet(key=ECKey.generate_key("P-256")) | {"id": device["id"]})
    assert (await phone.photo(person)).status_code == 401
    await office.delete(f"/fhir/Device/{device['id']}")
    assert (await phone.photo(person)).status_code == 401


async def test_s86_s114_a_session_ends_with_the_decision_that_it_stands_on(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person = await somebody(office)
    phone = await session(nurse, clinic, person, device)
    [given] = read(await office.get(f"/fhir/Consent?patient={person}"))["entry"]

    await office.store(consent(person, dateTime="2026-02-01"))
    assert (await phone.photo(person)).status_code == 403
    phone = await session(nurse, clinic, person, device)
    assert (await phone.photo(person)).status_code == 201

    found = read(await office.get(f"/fhir/Consent?patient={person}&status=active"))["entry"]
    for one in found:
        await office.post(f"/fhir/Consent/{one['resource']['id']}/$withdraw")
    assert (await phone.photo(person)).status_code == 403
    assert (await begin(nurse, clinic, person, device)).status_code == 403
    assert given["resource"]["id"]


async def test_m20_t99_no_photo_before_its_consent(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person, refused = await somebody(office), await somebody(office, agrees=False)
    phone = await session(nurse, clinic, person, device)

    assert (await phone.photo(person, createdDateTime="2025-12-31")).status_code == 409
    assert (await begin(nurse, clinic, refused, device)).status_code == 403


async def test_t37_a_session_does_nothing_but_bring_photographs_of_its_patient(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person, other = await somebody(office), await somebody(office)
    phone = await session(nurse, clinic, person, device)
    stored = read(await phone.photo(person))

    for method, path in (
        ("GET", f"/Media/{stored['id']}"),
        ("GET", f"/{stored['content']['url']}"),
        ("GET", f"/Media?subject=Patient/{person}"),
        ("GET", f"/Media/{stored['id']}/_history"),
        ("GET", f"/Patient/{person}"),
        ("DELETE", f"/Media/{stored['id']}"),
    ):
        assert (await phone.ask(method, path.partition("?")[0])).status_code in {400, 401, 403, 404}, path
    assert (await phone.photo(other)).status_code in {403, 404}
    parameter = [{"name": one, "valueReference": {"reference": "Device/x"}} for one in ("patient", "device")]
    again = await phone.ask("POST", "/Media/$capture-session", {"resourceType": "Parameters", "parameter": parameter})
    assert again.status_code == 422
    parameter[0] = {"name": "patient", "valueReference": {"reference": f"Patient/{person}"}}
    again = await phone.ask("POST", "/Media/$capture-session", {"resourceType": "Parameters", "parameter": parameter})
    assert again.status_code == 401


async def test_m20_the_token_is_nothing_without_its_key(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person = await somebody(office)
    phone = await session(nurse, clinic, person, device)
    photo = media(person, jpeg())

    bearer = await Caller(clinic.http, {"Authorization": f"Bearer {phone.token}"}).post("/fhir/Media", photo)
    thief = await replace(phone, key=ECKey.generate_key("P-256")).ask("POST", "/Media", photo)
    proof = phone.proof("POST", "/Media")
    headers = {"Authorization": f"DPoP {phone.token}", "DPoP": proof}
    first = await Caller(clinic.http, headers).post("/fhir/Media", photo)
    again = await Caller(clinic.http, headers).post("/fhir/Media", photo)
    none = await Caller(clinic.http, {"Authorization": f"DPoP {phone.token}"}).post("/fhir/Media", photo)
    plain = clinic.token("user/*.cruds", role="nurse", fhir_user=NURSE)
    unbound = await replace(phone, token=plain).ask("POST", "/Media", photo)

    assert [one.status_code for one in (bearer, thief, first, again, none, unbound)] == [401, 401, 201, 401, 401, 401]


async def test_a_session_begins_with_a_proof_and_an_active_device_of_that_key(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person = await somebody(office)
    others = await nurse.store(tablet(key=ECKey.generate_key("P-256")))

    assert (await begin(nurse, clinic, person, device, DPoP="")).status_code == 401
    assert (await begin(nurse, clinic, person, device, DPoP="x")).status_code == 401
    assert (await begin(nurse, clinic, person, others)).status_code == 422
    assert (await begin(nurse, clinic, person, {"id": "nowhere"})).status_code == 422
    assert (await begin(nurse, clinic, random_id(), device)).status_code in {403, 404}
    stranger = staff(clinic, "receptionist")
    assert (await begin(stranger, clinic, person, device)).status_code == 403


async def test_t37_it_ends_with_the_sign_in_of_whoever_began_it_and_with_their_client(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person = await somebody(office)
    by = staff(clinic, "nurse", person=NURSE, client="camera-app")
    phone = await session(by, clinic, person, device)
    assert (await phone.photo(person)).status_code == 201

    await clinic.clinic.store.grant_states.end_all("client/camera-app", "client-ended")

    assert (await phone.photo(person)).status_code == 401
    assert (await begin(by, clinic, person, device)).status_code in {401, 403}


async def test_s86_beginning_and_bringing_are_recorded_with_the_patient(
    clinic: InProcess, nurse: Caller, office: Caller, device: Json
) -> None:
    person = await somebody(office)

    async with clinic.trail.recording() as recorded:
        phone = await session(nurse, clinic, person, device)
        await phone.photo(person)

    assert len(recorded.events) == 2
    for event in recorded.events:
        assert NURSE in str(event["agent"])
        assert f"Patient/{person}" in str(event["entity"])
