"""The granular scopes that US Core asks for, from the request of an app to what its token opens: R-SMART-056, -061."""

from dataclasses import dataclass

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient
from tests.smart.apps import App

pytestmark = pytest.mark.anyio

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CATEGORIES = (
    ("Condition", f"{_TERMINOLOGY}/condition-category", "encounter-diagnosis"),
    ("Condition", f"{_TERMINOLOGY}/condition-category", "problem-list-item"),
    ("Condition", f"{_US_CORE}/condition-category", "health-concern"),
    ("Observation", f"{_TERMINOLOGY}/observation-category", "laboratory"),
    ("Observation", f"{_TERMINOLOGY}/observation-category", "social-history"),
    ("Observation", f"{_TERMINOLOGY}/observation-category", "vital-signs"),
    ("Observation", f"{_TERMINOLOGY}/observation-category", "survey"),
    ("Observation", f"{_US_CORE}/us-core-category", "sdoh"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """A patient with one resource of each category; `ids` by category."""

    patient: str
    ids: dict[str, str]


def resource(type: str, system: str, code: str, patient_id: str) -> Json:
    categorised = {
        "resourceType": type,
        "category": [{"coding": [{"system": system, "code": code}]}],
        "code": {"text": code},
        "subject": {"reference": f"Patient/{patient_id}"},
    }
    if type == "Observation":
        return categorised | {"status": "final"}
    active = {"coding": [{"system": f"{_TERMINOLOGY}/condition-clinical", "code": "active"}]}
    return categorised | {"clinicalStatus": active}


@pytest.fixture(scope="module")
async def record(clinic: InProcess) -> Record:
    doctor = clinic.caller()
    whose = str((await doctor.store(patient("Core")))["id"])
    made = {code: await doctor.store(resource(type, system, code, whose)) for type, system, code in CATEGORIES}
    return Record(whose, {code: str(one["id"]) for code, one in made.items()})


@pytest.mark.parametrize(("type", "system", "code"), CATEGORIES, ids=[code for *_, code in CATEGORIES])
async def test_r_smart_056_061_a_category_is_granted_as_it_was_spelt_and_opens_itself_alone(
    native: App, record: Record, type: str, system: str, code: str
) -> None:
    scope = f"patient/{type}.rs?category={system}|{code}"
    told = await native.tokens(
        f"launch/patient {scope}", patient=record.patient, role="patient", fhir_user=f"Patient/{record.patient}"
    )
    holder = Caller(native.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})

    assert scope in told["scope"].split()
    for other, system_code in ((one, each) for one, _, each in CATEGORIES if one == type):
        answer = await holder.get(f"/fhir/{other}/{record.ids[system_code]}")
        assert answer.status_code == (200 if system_code == code else 404), system_code
    found = read(await holder.get(f"/fhir/{type}?patient={record.patient}"))
    assert [entry["resource"]["id"] for entry in found["entry"]] == [record.ids[code]]
    assert found["total"] == 1
