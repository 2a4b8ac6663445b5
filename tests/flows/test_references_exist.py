"""References over HTTP: what must exist, what must where the clinic says so, and what happens to what is referred to.

R-FHIR-015; https://hl7.org/fhir/R4/references.html
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.samples import consent, jpeg, media, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

PATCH = {"Content_Type": "application/json-patch+json"}


@pytest.fixture(scope="module")
async def strict(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    """Where FHIR_SERVER_REFUSE_MISSING_REFERENCES is set."""
    folder: Path = tmp_path_factory.mktemp("strict")
    async with running(mongo_uri, "test_strict", folder, refuse_missing_references=True) as inside:
        yield inside


@pytest.fixture(scope="module")
def careful(strict: InProcess) -> Caller:
    return strict.caller()


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
def id() -> str:
    return secrets.token_hex(8)


def observation(of: str, *performers: str, **more: Any) -> Json:
    found: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": of},
        **more,
    }
    return {**found, "performer": [{"reference": each} for each in performers]} if performers else found


async def test_by_default_a_missing_target_is_taken(doctor: Caller, id: str) -> None:
    answer = await doctor.post("/fhir/Observation", observation(f"Patient/{id}", "Practitioner/nobody"))

    assert answer.status_code == 201


@pytest.mark.parametrize("kind", ["Media", "Consent"])
async def test_the_patient_of_a_photo_or_consent_exists_and_nothing_is_kept_otherwise(
    clinic: InProcess, doctor: Caller, id: str, kind: str
) -> None:
    asked = media(id, jpeg()) if kind == "Media" else consent(id)
    before = await clinic.counts()

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(f"/fhir/{kind}", asked)
    named = await doctor.put(f"/fhir/{kind}/own-{id[::-1]}", {**asked, "id": f"own-{id[::-1]}"})

    assert (answer.status_code, named.status_code) == (422, 422)
    [issue] = read(answer)["issue"]
    assert issue["expression"] == ["Media.subject" if kind == "Media" else "Consent.patient"]
    assert issue["code"] == "not-found"
    assert await clinic.counts() == before
    assert said(recorded.only) == ("create", "4")


async def test_a_deleted_patient_does_not_exist_and_a_withdrawal_is_possible_all_the_same(
    doctor: Caller, id: str
) -> None:
    await doctor.store(patient(id=id))
    given = await doctor.store(consent(id))
    photo = await doctor.store(media(id, jpeg()))

    gone = await doctor.delete(f"/fhir/Patient/{id}")
    again = await doctor.post("/fhir/Consent", consent(id))
    renewed = await doctor.put(f"/fhir/Consent/{given['id']}", {**given, "dateTime": "2026-02-01"})
    patched = await doctor.ask(
        "PATCH", f"/fhir/Media/{photo['id']}", '[{"op":"add","path":"/note","value":[{"text":"x"}]}]', **PATCH
    )
    withdrawn = await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert gone.status_code == 204, "deleting a patient is not hindered by what refers to her"
    assert [answer.status_code for answer in (again, renewed, patched)] == [422] * 3
    assert withdrawn.status_code == 200
    assert read(withdrawn)["status"] == "inactive"


async def test_by_setting_each_missing_target_is_named(strict: InProcess, careful: Caller, id: str) -> None:
    await careful.store(patient(id=id))
    before = await strict.counts()

    answer = await careful.post(
        "/fhir/Observation", observation(f"Patient/{id}", "Practitioner/nobody", f"Patient/{id}/_history/2")
    )

    assert answer.status_code == 422
    assert [issue["expression"] for issue in read(answer)["issue"]] == [
        ["Observation.performer[0].reference"],
        ["Observation.performer[1].reference"],
    ]
    assert "nobody" not in answer.text
    assert await strict.counts() == before
    taken = observation(f"Patient/{id}", f"Patient/{id}/_history/1", f"{strict.base}/Patient/{id}")
    assert (await careful.post("/fhir/Observation", taken)).status_code == 201


async def test_r_fhir_015_by_setting_what_others_refer_to_is_409(strict: InProcess, careful: Caller, id: str) -> None:
    await careful.store(patient(id=id))
    seen = await careful.store(observation(f"Patient/{id}"))

    async with strict.trail.recording() as recorded:
        held = await careful.delete(f"/fhir/Patient/{id}")
        by_criteria = await careful.delete(f"/fhir/Patient?_id={id}")
    await careful.delete(f"/fhir/Observation/{seen['id']}")
    free = await careful.delete(f"/fhir/Patient/{id}")

    assert [held.status_code, by_criteria.status_code, free.status_code] == [409, 409, 204]
    assert read(held)["issue"][0]["code"] == "conflict"
    assert [said(event) for event in recorded.events] == [("delete", "4")] * 2


async def test_by_setting_the_servers_own_duties_are_not_hindered(strict: InProcess, careful: Caller, id: str) -> None:
    """The worker deletes the Media of a withdrawn consent, and files a receipt that names what is gone."""
    await careful.store(patient(id=id))
    given = await careful.store(consent(id))
    photo = await careful.store(media(id, jpeg()))
    await careful.store(observation(f"Patient/{id}", derivedFrom=[{"reference": f"Media/{photo['id']}"}]))

    assert (await careful.post(f"/fhir/Consent/{given['id']}/$withdraw")).status_code == 200
    while await strict.clinic.worker.once():
        pass

    assert (await careful.get(f"/fhir/Media/{photo['id']}")).status_code == 410
    assert read(await careful.get(f"/fhir/DocumentReference?patient={id}"))["total"] == 1


async def test_who_writes_while_the_target_is_deleted_leaves_what_a_deletion_afterwards_leaves(
    doctor: Caller, id: str
) -> None:
    """Either the write was first, and refers to what is gone; or the deletion was, and it is refused."""
    for number in range(8):
        who = f"{id}-{number}x"
        await doctor.store(patient(id=who))
        written, deleted = await asyncio.gather(
            doctor.post("/fhir/Consent", consent(who)), doctor.delete(f"/fhir/Patient/{who}")
        )

        assert deleted.status_code == 204
        assert written.status_code in {201, 422}
        assert (await doctor.get(f"/fhir/Patient/{who}")).status_code == 410
