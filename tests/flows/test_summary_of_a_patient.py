"""`Patient/$summary` over HTTP: who may have it, in which ways it is asked for, what it says of what it leaves out."""

import pytest

from fhir_server.fhir.validation import validate
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import of_patient, staff
from tests.samples import patient

pytestmark = pytest.mark.anyio

NUMBER = {"system": "urn:numbers", "value": "ips-1"}
SUMMARY = "/fhir/Patient/ips/$summary"


@pytest.fixture(scope="module")
async def desk(clinic: InProcess) -> Caller:
    desk = clinic.caller()
    await desk.store(patient("Ips", id="ips", identifier=[NUMBER], birthDate="1970-01-01"))
    about = {"reference": "Patient/ips"}
    active = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]
    }
    allergy = {"resourceType": "AllergyIntolerance", "clinicalStatus": active, "patient": about}
    await desk.store({**allergy, "code": {"text": "Latex"}})
    doctor = await desk.store({"resourceType": "Practitioner", "name": [{"family": "Doe"}]})
    given = {"resourceType": "MedicationAdministration", "status": "completed", "subject": about}
    performer = [{"actor": {"reference": f"Practitioner/{doctor['id']}"}}]
    medicine = {"medicationCodeableConcept": {"text": "Botulinum toxin"}, "effectiveDateTime": "2026-01-01"}
    await desk.store({**given, **medicine, "performer": performer})
    return desk


def sections(document: Json) -> dict[str, Json]:
    return {one["title"]: one for one in document["entry"][0]["resource"]["section"]}


async def test_r_ips_001_it_is_asked_for_by_get_and_by_post_with_and_without_a_body(desk: Caller) -> None:
    parameters = {"resourceType": "Parameters"}
    answers = [
        await desk.get(SUMMARY),
        await desk.post(SUMMARY),
        await desk.post(SUMMARY, b"", Content_Type="text/plain"),
        await desk.post(SUMMARY, parameters),
        await desk.get("/fhir/Patient/$summary?identifier=urn:numbers|ips-1"),
        await desk.post(
            "/fhir/Patient/$summary",
            {**parameters, "parameter": [{"name": "identifier", "valueString": "urn:numbers|ips-1"}]},
        ),
    ]

    assert [answer.status_code for answer in answers] == [200] * 6
    for answer in answers:
        document = read(answer)
        validate(document)
        assert sections(document).keys() == {"Medication Summary", "Allergies and Intolerances", "Problem List"}
        types = [one["resource"]["resourceType"] for one in document["entry"]]
        assert types[:2] == ["Composition", "Patient"]
        assert "Practitioner" in types, "who gave it is inside"


async def test_r_ips_001_the_capability_statement_names_the_guides_operation(desk: Caller) -> None:
    statement = read(await desk.get("/fhir/metadata"))

    [described] = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
    assert {"name": "summary", "definition": "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"} in described[
        "operation"
    ]


async def test_r_ips_006_a_type_that_is_not_in_scope_is_left_out_and_said_to_be_withheld(
    clinic: InProcess, desk: Caller
) -> None:
    narrow = clinic.caller("system/Patient.rs", "system/MedicationAdministration.rs", "system/Practitioner.r")
    blind = clinic.caller("system/Patient.rs")

    found, nothing = sections(read(await narrow.get(SUMMARY))), sections(read(await blind.get(SUMMARY)))

    assert found["Allergies and Intolerances"]["emptyReason"]["coding"][0]["code"] == "withheld"
    assert len(found["Medication Summary"]["entry"]) == 1
    assert {one["emptyReason"]["coding"][0]["code"] for one in nothing.values()} == {"withheld"}


async def test_patients_and_who_treats_them_have_it_and_nobody_else(clinic: InProcess, desk: Caller) -> None:
    own = await of_patient(clinic, "ips").get(SUMMARY)

    assert "Latex" in own.text
    assert (await of_patient(clinic, "other").get(SUMMARY)).status_code == 404
    assert "Latex" not in (await staff(clinic, "practitioner").get(SUMMARY)).text
    for role in ("receptionist", "privacy-officer", "marketing"):
        assert (await staff(clinic, role).get(SUMMARY)).status_code == 403
    assert (await desk.get("/fhir/Patient/nobody/$summary")).status_code == 404
    assert (await desk.get("/fhir/Patient/$summary?identifier=urn:numbers|none")).status_code == 404


@pytest.mark.parametrize("query", ["graph=x", "profile=http://other", "colour=red", "identifier=x"])
async def test_what_it_does_not_take_is_refused(desk: Caller, query: str) -> None:
    assert (await desk.get(f"{SUMMARY}?{query}")).status_code == 400
    assert (await desk.get("/fhir/Patient/$summary")).status_code == 400
