"""`$validate`, asked of the running server: what it says, whom it lets ask, what it tells of others' resources.

R-FHIR-009; https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.trail import named, said

pytestmark = pytest.mark.anyio

FINE = [("information", "informational", None)]
DEFINITION = "http://hl7.org/fhir/StructureDefinition/Patient"


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def person(doctor: Caller) -> Json:
    return await doctor.store(patient("Valid", id="valid"))


def told(answer: Response) -> list[tuple[str, str, str | None]]:
    """Severity, code and place of each issue."""
    assert answer.status_code == 200, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    return [(each["severity"], each["code"], each.get("expression", [None])[0]) for each in read(answer)["issue"]]


def parameters(**given: Any) -> Json:
    found = [
        {"name": name, "resource" if name == "resource" else "valueCode" if name == "mode" else "valueUri": value}
        for name, value in given.items()
    ]
    return {"resourceType": "Parameters", "parameter": found}


async def test_r_fhir_009_every_fault_is_told_with_its_place_and_nothing_is_stored(
    clinic: InProcess, doctor: Caller
) -> None:
    before = await clinic.counts()
    broken = {**patient(), "gender": "x", "birthDate": "yesterday"}

    for body in (broken, parameters(resource=broken), parameters(resource=broken, mode="create")):
        assert told(await doctor.post("/fhir/Patient/$validate", body)) == [
            ("error", "code-invalid", "Patient.gender"),
            ("error", "value", "Patient.birthDate"),
        ]
    assert told(await doctor.post("/fhir/Patient/$validate", patient())) == FINE
    assert await clinic.counts() == before


async def test_of_an_instance_it_is_the_id_as_well(doctor: Caller) -> None:
    path = "/fhir/Patient/valid/$validate"

    assert told(await doctor.post(path, patient(id="valid"))) == FINE
    assert told(await doctor.post(path, patient(id="other"))) == [("error", "invalid", "Patient.id")]
    assert told(await doctor.post(f"{path}?mode=update", patient())) == [("error", "required", "Patient.id")]
    assert told(await doctor.post(path, parameters(resource=patient(id="valid"), mode="update"))) == FINE


async def test_what_is_stored_can_be_asked_about(doctor: Caller) -> None:
    path = "/fhir/Patient/valid/$validate"

    for answer in (
        await doctor.get(path),
        await doctor.get(f"{path}?mode=profile&profile={DEFINITION}"),
        await doctor.get(f"{path}?mode=delete"),
        await doctor.post(path),
        await doctor.post(path, parameters(mode="profile")),
        await doctor.post(path, parameters(mode="delete")),
    ):
        assert told(answer) == FINE
    head = await doctor.ask("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    unknown = await doctor.get(f"{path}?profile=urn:profile")
    assert told(unknown) == [("error", "not-supported", None)]


async def test_what_is_not_stored_cannot(doctor: Caller) -> None:
    await doctor.store(patient(id="valid-gone"))
    await doctor.delete("/fhir/Patient/valid-gone")

    assert (await doctor.get("/fhir/Patient/never-was/$validate")).status_code == 404
    assert (await doctor.get("/fhir/Patient/never-was/$validate?mode=delete")).status_code == 404
    assert (await doctor.get("/fhir/Patient/valid-gone/$validate")).status_code == 410
    assert (await doctor.get("/fhir/Nothing/1/$validate")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "Patient/$validate", b"", 400),
        ("POST", "Patient/$validate", b"{", 400),
        ("POST", "Patient/$validate", b"[]", 400),
        ("POST", "Patient/$validate?mode=sometimes", b'{"resourceType":"Patient"}', 400),
        ("POST", "Patient/$validate?mode=profile", b'{"resourceType":"Patient"}', 400),
        ("POST", "Patient/$validate?mode=delete", b"", 400),
        ("POST", "Nothing/$validate", b'{"resourceType":"Nothing"}', 404),
        ("GET", "Patient/$validate", b"", 405),
        ("PUT", "Patient/valid/$validate", b'{"resourceType":"Patient"}', 405),
    ],
)
async def test_a_question_that_cannot_be_understood_is_an_error(
    clinic: InProcess, doctor: Caller, method: str, path: str, body: bytes, status: int
) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await doctor.ask(method, f"/fhir/{path}", body)

    assert answer.status_code == status, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert said(recorded.only)[1] == "4"


async def test_it_is_for_who_may_read_the_type(clinic: InProcess) -> None:
    for scope, status in (
        ("system/Patient.r", 200),
        ("system/*.rs", 200),
        ("system/Patient.cuds", 403),
        ("system/Observation.r", 403),
    ):
        asking = clinic.caller(scope)
        assert (await asking.post("/fhir/Patient/$validate", patient())).status_code == status, scope
        assert (await asking.get("/fhir/Patient/valid/$validate")).status_code == status, scope
    assert (await clinic.stranger.post("/fhir/Patient/$validate", patient())).status_code == 401
    another = clinic.caller("patient/*.r", patient="another")
    assert (await another.get("/fhir/Patient/valid/$validate")).status_code == 404


def observation(*patients: str) -> Json:
    members = [{"reference": f"Patient/{id}"} for id in patients]
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "focus": members}


async def test_a_missing_target_is_a_warning_and_so_is_one_that_the_caller_may_not_see(
    clinic: InProcess, doctor: Caller
) -> None:
    await doctor.store(patient(id="valid-hidden"))
    asked = observation("valid", "valid-hidden", "never-was")
    own = clinic.caller("patient/*.r", patient="valid")
    short_sighted = clinic.caller("system/Observation.r")

    missing: dict[str, list[str]] = {}
    for who, caller in (("doctor", doctor), ("patient", own), ("without scope", short_sighted)):
        answer = await caller.post("/fhir/Observation/$validate", asked)
        assert {issue[:2] for issue in told(answer)} == {("warning", "not-found")}
        missing[who] = [str(place) for _, _, place in told(answer)]
        diagnostics = {issue["diagnostics"] for issue in read(answer)["issue"]}
        assert diagnostics == {"There is no such resource on this server, or none that you may see."}

    places = [f"Observation.focus[{index}].reference" for index in range(3)]
    assert missing == {"doctor": places[2:], "patient": places[1:], "without scope": places}


async def test_a_target_that_was_deleted_is_not_there(doctor: Caller) -> None:
    await doctor.store(patient(id="valid-left"))
    await doctor.delete("/fhir/Patient/valid-left")

    answer = await doctor.post("/fhir/Observation/$validate", observation("valid-left"))

    assert told(answer) == [("warning", "not-found", "Observation.focus[0].reference")]


async def test_a_target_without_a_basis_is_not_there(clinic: InProcess, doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    photo = await doctor.store(media(person, jpeg()))
    asked = {**observation(), "derivedFrom": [{"reference": f"Media/{photo['id']}"}]}
    del asked["focus"]

    assert told(await doctor.post("/fhir/Observation/$validate", asked)) == FINE
    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert told(await doctor.post("/fhir/Observation/$validate", asked))[0][:2] == ("warning", "not-found")


async def test_a_photo_without_a_basis_is_not_asked_about_either(clinic: InProcess, doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    photo = await doctor.store(media(person, jpeg()))
    path = f"/fhir/Media/{photo['id']}/$validate"
    assert (await doctor.get(path)).status_code == 200

    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert (await doctor.get(path)).status_code in {403, 410}


async def test_so_many_references_are_followed_and_no_more(doctor: Caller) -> None:
    issues = told(await doctor.post("/fhir/Observation/$validate", observation(*map(str, range(600)))))

    assert issues[-1] == ("information", "incomplete", None)
    assert len(issues) == 101


async def test_the_log_can_be_asked_about_but_not_to_be_changed(clinic: InProcess) -> None:
    reader = clinic.caller("system/AuditEvent.r")

    issues = told(await reader.post("/fhir/AuditEvent/$validate?mode=update", {"resourceType": "AuditEvent"}))

    assert ("error", "not-supported", None) in issues
    assert ("error", "required", "AuditEvent.type") in issues


async def test_it_is_recorded_as_the_operation_that_it_is(clinic: InProcess, doctor: Caller) -> None:
    async with clinic.trail.recording() as of_a_body:
        await doctor.post("/fhir/Patient/$validate", {**patient("Unspeakable"), "gender": "x"})
    async with clinic.trail.recording() as of_the_stored:
        await doctor.get("/fhir/Patient/valid/$validate")
    async with clinic.trail.recording() as refused:
        await doctor.get("/fhir/Patient/never-was/$validate")

    for recorded, outcome in ((of_a_body, "0"), (of_the_stored, "0"), (refused, "4")):
        assert said(recorded.only) == ("operation", outcome)
        assert "$validate" in str(recorded.only)
        assert "Unspeakable" not in str(recorded.only)
    assert "Patient/valid" in {name.partition("/_history")[0] for name in named(of_the_stored.only)}


async def test_the_server_says_that_it_has_it(clinic: InProcess) -> None:
    statement = read(await clinic.stranger.get("/fhir/metadata"))

    for resource in statement["rest"][0]["resource"]:
        validate = {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}
        assert validate in resource["operation"], resource["type"]
