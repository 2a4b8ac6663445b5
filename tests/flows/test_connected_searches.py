"""Real patients: chains, `_has` and includes over HTTP agree with a look at the same data."""

from collections.abc import Sequence

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.loaded import Loaded, everything, keys_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def clerk(patients_clinic: InProcess) -> Caller:
    return patients_clinic.caller()


@pytest.fixture(scope="module")
def records(loaded: Sequence[Loaded]) -> dict[str, Json]:
    return {key: resource for one in loaded for key, resource in one.resources.items()}


def those(records: dict[str, Json], type: str) -> list[str]:
    return sorted(key for key, each in records.items() if each["resourceType"] == type)


def subject(resource: Json) -> str:
    return str((resource.get("subject") or resource["patient"])["reference"])


async def found(clerk: Caller, path: str) -> list[str]:
    return keys_of(await everything(clerk, f"/fhir/{path}"))


async def test_r_fhir_048_observations_of_the_people_of_a_name(clerk: Caller, records: dict[str, Json]) -> None:
    for family in sorted({each["name"][0]["family"] for each in records.values() if each["resourceType"] == "Patient"}):
        people = {key for key in those(records, "Patient") if records[key]["name"][0]["family"] == family}
        expected = [key for key in those(records, "Observation") if subject(records[key]) in people]

        assert await found(clerk, f"Observation?subject:Patient.family:exact={family}&_count=200") == expected
        assert await found(clerk, f"Observation?patient.family:exact={family}&_count=200") == expected


async def test_r_fhir_048_people_by_what_was_seen_of_them(clerk: Caller, records: dict[str, Json]) -> None:
    coded = {
        code: {
            each["subject"]["reference"]
            for each in records.values()
            if each["resourceType"] == "Condition" and each["code"]["coding"][0]["code"] == code
        }
        for code in sorted(
            {each["code"]["coding"][0]["code"] for each in records.values() if each["resourceType"] == "Condition"}
        )[:10]
    }

    for code, people in coded.items():
        assert await found(clerk, f"Patient?_has:Condition:patient:code={code}") == sorted(people)


async def test_r_fhir_058_every_match_comes_with_its_patient_and_its_encounter(
    clerk: Caller, records: dict[str, Json]
) -> None:
    path = "/fhir/Observation?_include=Observation:subject&_include=Observation:encounter&_count=40"
    page = read(await clerk.get(path))
    modes = {f"{e['resource']['resourceType']}/{e['resource']['id']}": e["search"]["mode"] for e in page["entry"]}
    matches = [key for key, mode in modes.items() if mode == "match"]
    expected = {records[key][name]["reference"] for key in matches for name in ("subject", "encounter")}

    assert len(modes) == len(page["entry"]), "each once"
    assert len(matches) == 40
    assert {key for key, mode in modes.items() if mode == "include"} == expected
    assert list(modes.values()) == sorted(modes.values(), reverse=True), "matches come first"
    assert all(entry["fullUrl"].endswith(f"/{entry['resource']['id']}") for entry in page["entry"])


async def test_r_fhir_058_a_file_comes_with_a_patient(clerk: Caller, records: dict[str, Json]) -> None:
    patient = min(key for key in records if key.startswith("Patient/"))
    types = ("Observation", "Condition", "Encounter", "Immunization")
    path = f"Patient?_id={patient.removeprefix('Patient/')}" + "".join(f"&_revinclude={type}:patient" for type in types)

    expected = [key for type in types for key in those(records, type) if subject(records[key]) == patient]
    assert await found(clerk, path) == sorted([patient, *expected])


async def test_r_balp_009_whoever_is_included_is_recorded(patients_clinic: InProcess, records: dict[str, Json]) -> None:
    encounter = min(key for key in records if key.startswith("Encounter/"))
    before = len(await patients_clinic.trail.events())

    await patients_clinic.caller().get(
        f"/fhir/Encounter?_id={encounter.removeprefix('Encounter/')}&_include=Encounter:patient&_revinclude=Provenance:target"
    )

    [event] = (await patients_clinic.trail.events())[before:]
    named = {entity.get("what", {}).get("reference") for entity in event["entity"]}
    assert records[encounter]["subject"]["reference"] in named
