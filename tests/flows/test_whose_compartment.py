"""In whose compartment a resource lies, as the apps of its patients see it: one, two, and another than before.

R4 CompartmentDefinition patient; R-SMART-052, R-SMART-066, R-FHIR-063.
"""

import secrets

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
async def two(clinic: InProcess, doctor: Caller) -> list[tuple[str, Caller]]:
    """Two patients, each with an app."""
    ids = [(await doctor.store(patient()))["id"] for _ in range(2)]
    return [(id, clinic.caller("patient/*.rs", patient=id)) for id in ids]


def observation(of: str, *beside: str, id: str) -> Json:
    performers = [{"reference": f"Patient/{each}"} for each in beside]
    found: Json = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}}
    found["subject"] = {"reference": f"Patient/{of}"}
    return {**found, "performer": performers} if performers else found


async def sees(app: Caller, id: str) -> tuple[bool, bool]:
    """By read, and by search."""
    found = read(await app.get("/fhir/Observation")).get("entry", [])
    return (await app.get(f"/fhir/Observation/{id}")).status_code == 200, id in {
        each["resource"]["id"] for each in found
    }


async def test_r_fhir_063_what_names_two_patients_lies_with_both(doctor: Caller, two: list[tuple[str, Caller]]) -> None:
    (ann, anns), (ben, bens) = two
    id = secrets.token_hex(8)

    await doctor.store(observation(ann, ben, id=id))

    assert [await sees(anns, id), await sees(bens, id)] == [(True, True)] * 2


async def test_r_smart_066_another_patient_takes_it_along_and_leaves_nothing_behind(
    doctor: Caller, two: list[tuple[str, Caller]]
) -> None:
    """Who it was about sees no more of it; who it is about sees nothing of what it was."""
    (ann, anns), (ben, bens) = two
    id = secrets.token_hex(8)
    await doctor.store(observation(ann, id=id))
    assert [await sees(anns, id), await sees(bens, id)] == [(True, True), (False, False)]

    await doctor.store(observation(ben, id=id))

    assert [await sees(anns, id), await sees(bens, id)] == [(False, False), (True, True)]
    assert (await anns.get(f"/fhir/Observation/{id}/_history")).status_code == 404
    versions = read(await bens.get(f"/fhir/Observation/{id}/_history"))["entry"]
    assert [each["resource"]["meta"]["versionId"] for each in versions] == ["2"]
    assert len(read(await doctor.get(f"/fhir/Observation/{id}/_history"))["entry"]) == 2


async def test_r_fhir_063_who_is_named_elsewhere_than_the_definition_says_has_no_part_in_it(
    doctor: Caller, two: list[tuple[str, Caller]]
) -> None:
    """`Observation.focus` is no way into the compartment; whose keys seal it is another question."""
    (ann, anns), (ben, bens) = two
    id = secrets.token_hex(8)

    await doctor.store({**observation(ann, id=id), "focus": [{"reference": f"Patient/{ben}"}]})

    assert [await sees(anns, id), await sees(bens, id)] == [(True, True), (False, False)]
