"""A picture of a practitioner, a place or a device is the clinic's own: cleaned, sealed under its key.

Architecture section 9.
"""

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess
from tests.samples import consent, jpeg, media, patient
from tests.unit.media.pictures import PLACE

pytestmark = pytest.mark.anyio

SUBJECTS = {
    "Practitioner": {"resourceType": "Practitioner"},
    "PractitionerRole": {"resourceType": "PractitionerRole"},
    "Location": {"resourceType": "Location"},
    "Device": {"resourceType": "Device"},
    "Specimen": {"resourceType": "Specimen"},
}


@pytest.fixture
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


async def taken(doctor: Caller, type: str | None) -> Json:
    """A Media about a new resource of this type; about nobody where it is None."""
    given = {name: value for name, value in media("x", jpeg(900, turned=6)).items() if name != "subject"}
    if type is None:
        return await doctor.store(given)
    about = await doctor.store(SUBJECTS[type])
    return await doctor.store({**given, "subject": {"reference": f"{type}/{about['id']}"}})


@pytest.mark.parametrize("type", [*SUBJECTS, None])
async def test_its_bytes_are_cleaned_sealed_and_shown(clinic: InProcess, doctor: Caller, type: str | None) -> None:
    stored = await taken(doctor, type)

    assert "data" not in stored["content"]
    bytes_of_it = await doctor.get(f"/fhir/{stored['content']['url']}")
    assert bytes_of_it.status_code == 200
    assert PLACE not in bytes_of_it.content
    assert len(bytes_of_it.content) == stored["content"]["size"]
    row = await clinic.mongo[clinic.database]["photos"].find_one({"_id": stored["content"]["url"][len("Binary/") :]})
    assert row is not None
    assert row["subjects"] == []
    assert bytes_of_it.content[100:200] not in bytes(str(row), "utf-8")


async def test_no_patients_app_sees_it(clinic: InProcess, doctor: Caller) -> None:
    stored = await taken(doctor, "Practitioner")
    person = (await doctor.store(patient()))["id"]
    own = clinic.caller("patient/*.rs", patient=person)

    assert (await own.get(f"/fhir/Media/{stored['id']}")).status_code == 404
    assert (await own.get(f"/fhir/{stored['content']['url']}")).status_code == 404


async def test_a_withdrawal_of_a_patients_consent_leaves_it_alone(doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    stored = await taken(doctor, "Practitioner")

    assert (await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")).status_code == 200

    assert (await doctor.get(f"/fhir/{stored['content']['url']}")).status_code == 200


async def test_entered_in_error_its_bytes_are_not_shown(doctor: Caller) -> None:
    stored = await taken(doctor, "Device")

    await doctor.store({**stored, "status": "entered-in-error"})

    assert (await doctor.get(f"/fhir/{stored['content']['url']}")).status_code == 403


async def test_it_does_not_become_a_patients_nor_a_patients_one_of_its_own(doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    await doctor.store(consent(person))
    own, hers = await taken(doctor, "Practitioner"), await doctor.store(media(person, jpeg(900)))

    for mine, other in ((own, hers), (hers, own)):
        for changed in ({**mine, "subject": other["subject"]}, {k: v for k, v in mine.items() if k != "subject"}):
            assert (await doctor.put(f"/fhir/Media/{mine['id']}", changed)).status_code == 422
