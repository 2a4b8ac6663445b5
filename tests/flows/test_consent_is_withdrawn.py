"""Journey 3: a consent is withdrawn; access ends with that commit, then the keys of what nothing else covers."""

import asyncio
import base64
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.crypto.jws import verify_jws
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.signing import Signer
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.receipt import RECEIPT_TYPE
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

BOTH_WAYS = pytest.mark.parametrize("way", ["operation", "update", "delete"])


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


class Case:
    """A patient with a consent and photos that rest on it."""

    def __init__(self, doctor: Caller) -> None:
        self.doctor = doctor
        self.patient = ""
        self.consent: Json = {}
        self.photos: list[Json] = []

    async def begin(self, photos: int = 1, size: int = 2_000) -> "Case":
        self.patient = (await self.doctor.store(patient()))["id"]
        self.consent = await self.doctor.store(consent(self.patient))
        self.photos = [await self.doctor.store(media(self.patient, jpeg(size))) for _ in range(photos)]
        return self

    async def withdraw(self, way: str = "operation") -> None:
        path = f"/fhir/Consent/{self.consent['id']}"
        if way == "operation":
            answer = await self.doctor.post(f"{path}/$withdraw")
        elif way == "update":
            answer = await self.doctor.put(path, {**self.consent, "status": "inactive"})
        else:
            answer = await self.doctor.delete(path)
        assert answer.status_code in {200, 204}, answer.text

    def paths(self, photo: int = 0) -> tuple[str, str]:
        return f"/fhir/Media/{self.photos[photo]['id']}", f"/fhir/{self.photos[photo]['content']['url']}"

    async def statuses(self, photo: int = 0) -> list[int]:
        """Of each way to look at a photo."""
        media, binary = self.paths(photo)
        answers = [
            await self.doctor.get(media),
            await self.doctor.get(f"{media}/_history/1"),
            await self.doctor.get(binary),
            await self.doctor.get(binary, Range="bytes=0-9"),
            await self.doctor.get(binary, Accept=FHIR_JSON),
            await self.doctor.ask("HEAD", binary),
        ]
        return [answer.status_code for answer in answers]

    async def receipts(self) -> list[Json]:
        answer = await self.doctor.get(f"/fhir/DocumentReference?subject=Patient/{self.patient}")
        return [entry["resource"] for entry in read(answer).get("entry", [])]


async def until_done(clinic: InProcess) -> None:
    while await clinic.clinic.worker.once():
        pass


async def statement(clinic: InProcess, receipt: Json) -> Json:
    """What the signed text says, once its signature was verified."""
    secret = await clinic.clinic.keyring.named("receipts", KeyClass.SIGNING)
    signed = base64.b64decode(receipt["content"][0]["attachment"]["data"]).decode()
    said: Json = json.decode(verify_jws(signed, Signer(secret).public, RECEIPT_TYPE))
    return said


@BOTH_WAYS
async def test_access_ends_with_the_commit_of_the_withdrawal(doctor: Caller, way: str) -> None:
    case = await Case(doctor).begin()
    assert set(await case.statuses()) <= {200, 206}

    await case.withdraw(way)

    assert await case.statuses() == [403] * 6
    listed = read(await doctor.get(f"/fhir/Media?subject=Patient/{case.patient}"))
    assert "entry" not in listed
    assert listed.get("total", 0) == 0


@BOTH_WAYS
async def test_the_worker_destroys_the_keys_and_the_photo_is_gone(clinic: InProcess, doctor: Caller, way: str) -> None:
    case = await Case(doctor).begin()
    rows = clinic.mongo[clinic.database]["photos"]
    photo = case.photos[0]["content"]["url"].removeprefix("Binary/")
    key = (await rows.find_one({"_id": photo}) or {})["key"]
    await case.withdraw(way)

    await until_done(clinic)

    media, binary = case.paths()
    gone = [await doctor.get(media), await doctor.get(binary), await doctor.get(binary, Range="bytes=0-9")]
    assert [answer.status_code for answer in gone] == [410] * 3
    row = await rows.find_one({"_id": photo}) or {}
    assert row["state"] == "destroyed"
    assert await clinic.clinic.keyring.open_keys([key]) == {}
    assert await clinic.mongo[clinic.database]["chunks"].count_documents({"_id": {"$regex": f"^{photo}"}}) == 0


async def test_a_signed_receipt_says_what_went_and_why(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin(photos=2)
    await case.withdraw()
    await until_done(clinic)

    [receipt] = await case.receipts()
    said = await statement(clinic, receipt)

    assert receipt["status"] == "current"
    assert receipt["subject"]["reference"] == f"Patient/{case.patient}"
    assert said["patient"] == f"Patient/{case.patient}"
    assert said["cause"] == f"Consent/{case.consent['id']}/_history/2"
    assert {one["photo"] for one in said["destroyed"]} == {photo["content"]["url"] for photo in case.photos}
    assert {one["carriedBy"] for one in said["destroyed"]} == {f"Media/{photo['id']}" for photo in case.photos}
    assert all(one["inaccessibleSince"] and one["key"] and one["checked"] for one in said["destroyed"])
    assert said["kept"] == []
    assert said["unrecoverable"]


async def test_photos_that_another_consent_covers_stay_and_the_receipt_says_why(
    clinic: InProcess, doctor: Caller
) -> None:
    case = await Case(doctor).begin()
    other = await doctor.store(consent(case.patient))

    await case.withdraw()
    await until_done(clinic)

    assert set(await case.statuses()) <= {200, 206}
    [receipt] = await case.receipts()
    said = await statement(clinic, receipt)
    assert said["destroyed"] == []
    [kept] = said["kept"]
    assert kept["photo"] == case.photos[0]["content"]["url"]
    assert kept["because"] == f"Consent/{other['id']}/_history/1"
    assert "1 kept" in receipt["description"]


async def test_a_photo_that_another_consent_names_stays_while_its_neighbour_goes(
    clinic: InProcess, doctor: Caller
) -> None:
    case = await Case(doctor).begin(photos=2)
    named = {"meaning": "instance", "reference": {"reference": f"Media/{case.photos[1]['id']}"}}
    await doctor.store(consent(case.patient, provision={"data": [named]}))

    await case.withdraw()
    await until_done(clinic)

    assert (await case.statuses(0))[2] == 410
    assert set(await case.statuses(1)) <= {200, 206}


async def test_photos_of_others_stay(clinic: InProcess, doctor: Caller) -> None:
    case, other = await Case(doctor).begin(), await Case(doctor).begin()

    await case.withdraw()
    await until_done(clinic)

    assert set(await other.statuses()) <= {200, 206}
    assert await other.receipts() == []


async def test_each_withdrawal_has_its_own_receipt(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    second = await doctor.store(consent(case.patient))
    await case.withdraw()
    await until_done(clinic)

    await doctor.post(f"/fhir/Consent/{second['id']}/$withdraw")
    await until_done(clinic)

    said = [await statement(clinic, receipt) for receipt in await case.receipts()]
    assert sorted((len(one["destroyed"]), len(one["kept"])) for one in said) == [(0, 1), (1, 0)]
    assert (await case.statuses())[2] == 410


async def test_a_consent_given_before_the_worker_comes_saves_the_photo(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    await case.withdraw()
    assert (await case.statuses())[2] == 403

    await doctor.store(consent(case.patient))
    await until_done(clinic)

    assert set(await case.statuses()) <= {200, 206}


async def test_what_was_destroyed_does_not_come_back_with_a_new_consent(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    await case.withdraw()
    await until_done(clinic)

    await doctor.store(consent(case.patient))

    media, binary = case.paths()
    assert [(await doctor.get(path)).status_code for path in (media, binary)] == [410, 410]
    again = await doctor.store(media_of(case))
    assert (await doctor.get(f"/fhir/{again['content']['url']}")).status_code == 200


def media_of(case: Case) -> Json:
    return media(case.patient, jpeg())


async def test_withdrawing_twice_is_withdrawing_once(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    path = f"/fhir/Consent/{case.consent['id']}/$withdraw"

    first, second = await doctor.post(path), await doctor.post(path, {"resourceType": "Parameters"})
    await until_done(clinic)
    third = await doctor.post(path)

    assert [answer.status_code for answer in (first, second, third)] == [200] * 3
    assert read(first) == read(second) == read(third)
    assert (read(first)["status"], read(first)["meta"]["versionId"]) == ("inactive", "2")
    assert len(await case.receipts()) == 1


async def test_the_task_may_run_twice(clinic: InProcess, doctor: Caller) -> None:
    """A worker that dies after the work and before it said so: the next one finds it done."""
    case = await Case(doctor).begin()
    await case.withdraw()
    tasks = clinic.mongo[clinic.database]["tasks"]
    [row] = await tasks.find({"patient": case.patient}).to_list()
    await until_done(clinic)

    await tasks.insert_one(row)
    await until_done(clinic)

    assert len(await case.receipts()) == 1
    assert await tasks.count_documents({"patient": case.patient}) == 0


async def test_only_whose_consent_it_is_withdraws_it(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    other = await doctor.store(patient())
    path = f"/fhir/Consent/{case.consent['id']}/$withdraw"

    refused = [
        await clinic.stranger.post(path),
        await clinic.caller("system/Consent.rs").post(path),
        await clinic.caller("system/Media.cruds").post(path),
        await clinic.caller("patient/Consent.cruds").post(path),
        await clinic.caller("patient/Consent.cruds", patient=other["id"]).post(path),
    ]
    assert [answer.status_code for answer in refused] == [401, 403, 403, 403, 404]
    assert set(await case.statuses()) <= {200, 206}

    assert (await clinic.caller("patient/Consent.u", patient=case.patient).post(path)).status_code == 204
    assert (await case.statuses())[2] == 403


@pytest.mark.parametrize("kind", ["deny", "draft"])
async def test_what_was_never_given_is_not_withdrawn(doctor: Caller, kind: str) -> None:
    case = await Case(doctor).begin()
    written = consent(case.patient, kind="deny") if kind == "deny" else consent(case.patient, status="draft")
    stored = await doctor.store(written)

    assert (await doctor.post(f"/fhir/Consent/{stored['id']}/$withdraw")).status_code == 422


async def test_a_refusal_beside_a_permission_ends_access(doctor: Caller) -> None:
    case = await Case(doctor).begin()

    await doctor.store(consent(case.patient, kind="deny"))

    assert await case.statuses() == [403] * 6


async def test_a_consent_does_not_change_its_patient(doctor: Caller) -> None:
    case = await Case(doctor).begin()
    other = await doctor.store(patient())

    moved = {**case.consent, "patient": {"reference": f"Patient/{other['id']}"}}

    assert (await doctor.put(f"/fhir/Consent/{case.consent['id']}", moved)).status_code == 422


async def test_a_withdrawal_cuts_a_running_stream(clinic: InProcess, doctor: Caller) -> None:
    """Straight at the application: an HTTP client in the same process would take the answer only when it is whole."""
    case = await Case(doctor).begin(size=3_000_000)
    arrived = bytearray()
    whole = False

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal whole
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        if not arrived:
            await case.withdraw()
        arrived.extend(message.get("body", b""))
        whole = not message.get("more_body", False)

    await clinic.app(scope_of(clinic, case.paths()[1]), receive, send)

    assert 0 < len(arrived) <= 2 * 262_144
    assert not whole


def scope_of(clinic: InProcess, path: str) -> MutableMapping[str, Any]:
    token = clinic.token()
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {token}".encode())],
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }


async def test_a_photo_stored_while_the_consent_is_withdrawn_is_either_refused_or_destroyed(
    clinic: InProcess, doctor: Caller
) -> None:
    for _ in range(5):
        case = await Case(doctor).begin(photos=0)

        stored, _ = await asyncio.gather(doctor.post("/fhir/Media", media(case.patient, jpeg())), case.withdraw())
        await until_done(clinic)

        assert stored.status_code in {201, 403}
        rows = clinic.mongo[clinic.database]["photos"]
        assert await rows.count_documents({"subjects": case.patient, "state": "live"}) == 0


async def test_a_photo_that_was_never_committed_is_swept(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin(photos=0)
    photos = clinic.clinic.store.photos
    left = await photos.put(jpeg(), "image/jpeg", ResourceKey("Media", "never"), (case.patient,))
    rows = clinic.mongo[clinic.database]["photos"]
    await rows.update_one({"_id": left.id}, {"$set": {"since": left.since - timedelta(hours=2)}})

    assert await photos.sweep() >= 1

    assert (await rows.find_one({"_id": left.id}) or {})["state"] == "destroyed"
    assert (await doctor.get(f"/fhir/Binary/{left.id}")).status_code in {404, 410}
