"""Journey 3: a consent is withdrawn; access ends with that commit, then the keys of what nothing else covers."""

import pytest

from fhir_server.consent.terms import WITHDRAWN_AT
from fhir_server.kernel.clock import instant
from tests.clinics import Caller, InProcess, read
from tests.flows.withdrawals import Case, statement, until_done
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

BOTH_WAYS = pytest.mark.parametrize("way", ["operation", "update"])


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


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
async def test_s_84_the_worker_destroys_keys_and_photo(clinic: InProcess, doctor: Caller, way: str) -> None:
    case = await Case(doctor).begin()
    rows = clinic.mongo[clinic.database]["photos"]
    photo = case.photos[0]["content"]["url"].removeprefix("Binary/")
    key = (await rows.find_one({"_id": photo}) or {})["key"]
    await case.withdraw(way)

    await until_done(clinic)

    path, binary = case.paths()
    gone = [await doctor.get(path), await doctor.get(binary), await doctor.get(binary, Range="bytes=0-9")]
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

    await doctor.store(consent(case.patient, dateTime=instant(clinic.clinic.surface.clock.now())))
    await until_done(clinic)

    assert set(await case.statuses()) <= {200, 206}


async def test_what_was_destroyed_does_not_come_back_with_a_new_consent(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin()
    await case.withdraw()
    await until_done(clinic)

    await doctor.store(consent(case.patient, dateTime=instant(clinic.clinic.surface.clock.now())))

    assert [(await doctor.get(path)).status_code for path in case.paths()] == [410, 410]
    again = await doctor.store(media(case.patient, jpeg()))
    assert (await doctor.get(f"/fhir/{again['content']['url']}")).status_code == 200


async def test_t_71_neither_a_consent_nor_its_evidence_is_deleted(doctor: Caller) -> None:
    case = await Case(doctor).begin()
    await case.withdraw()
    path = f"/fhir/Consent/{case.consent['id']}"
    trail = read(await doctor.get(f"/fhir/Provenance?target={path[6:]}"))["entry"][0]["resource"]

    for kept in (path, f"/fhir/Provenance/{trail['id']}"):
        refused = await doctor.delete(kept)
        assert (refused.status_code, read(refused)["issue"][0]["code"]) == (409, "conflict")
        assert (await doctor.get(kept)).status_code == 200


async def test_t_97_the_withdrawal_says_when_in_the_consent_its_provenance_and_the_log(
    clinic: InProcess, doctor: Caller
) -> None:
    case = await Case(doctor).begin()

    async with clinic.trail.recording() as recorded:
        await case.withdraw()

    ended = read(await doctor.get(f"/fhir/Consent/{case.consent['id']}"))
    [trail] = read(await doctor.get(f"/fhir/Provenance?target=Consent/{ended['id']}"))["entry"]
    [said] = [one["valueInstant"] for one in ended["extension"] if one["url"] == WITHDRAWN_AT]
    assert trail["resource"]["target"] == [{"reference": f"Consent/{ended['id']}/_history/2"}]
    assert trail["resource"]["recorded"] == trail["resource"]["occurredDateTime"] == said
    [logged] = [event for event in recorded.events if event["subtype"][0]["code"] == "operation"]
    assert {"reference": f"Consent/{ended['id']}/_history/2"} in [one.get("what") for one in logged["entity"]]
    assert logged["recorded"] >= said, "what the log says of it was written with it"


async def test_s_79_withdrawing_twice_is_withdrawing_once(clinic: InProcess, doctor: Caller) -> None:
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
