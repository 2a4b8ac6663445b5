"""One fault at a time over HTTP: a precise status with an outcome, the place where it is, and nothing stored.

R-FHIR-009, R-FHIR-026.
"""

from collections.abc import Iterator

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import InProcess, read
from tests.unit.fhir.mutations import MARK, Mutation, mutations, spots
from tests.unit.fhir.specimens import largest

pytestmark = pytest.mark.anyio

PATIENT = {**largest("Patient"), "id": "spoilt"}


def each_kind() -> Iterator[Mutation]:
    """Every kind of fault once, each at another element where there is a choice."""
    seen = set()
    for resource in (PATIENT,):
        for spot in spots(resource):
            for mutation in mutations(resource, spot):
                if mutation.label not in seen and spot.path not in {"id", "resourceType"}:
                    seen.add(mutation.label)
                    yield mutation


@pytest.mark.parametrize("mutation", list(each_kind()), ids=lambda mutation: mutation.label)
async def test_r_fhir_009_a_fault_is_422_at_its_place_and_nothing_is_stored(
    clinic: InProcess, mutation: Mutation
) -> None:
    before = await clinic.counts()

    answer = await clinic.caller().put("/fhir/Patient/spoilt", mutation.of(PATIENT))

    assert answer.status_code == 422
    issues = read(answer)["issue"]
    assert (mutation.code, [mutation.place]) in [(each["code"], each["expression"]) for each in issues]
    assert all(each["severity"] == "error" and each["diagnostics"] for each in issues)
    assert MARK not in answer.text
    assert await clinic.counts() == before


TEXTS: dict[str, tuple[str, int]] = {
    "a repeated element": ('{"resourceType":"Patient","active":true,"active":true}', 400),
    "a repeated element of another value": ('{"resourceType":"Patient","active":true,"active":false}', 400),
    "a repeated element spelt otherwise": ('{"resourceType":"Patient","gender":"male","gende\\u0072":"male"}', 400),
    "a repeated element within": ('{"resourceType":"Patient","name":[{"text":"a","text":"b"}]}', 400),
    "a type given twice": ('{"resourceType":"Patient","resourceType":"Patient"}', 400),
    "a comment": ('{"resourceType":"Patient" /* x */}', 400),
    "a comma too many": ('{"resourceType":"Patient","active":true,}', 400),
    "no number": ('{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
    "an array": ('[{"resourceType":"Patient"}]', 400),
    "a string": ('"Patient"', 400),
    "null": ("null", 400),
    "no type": ('{"active":true}', 400),
    "another type": ('{"resourceType":"Practitioner"}', 400),
    "a type in another case": ('{"resourceType":"patient"}', 400),
    "a type that is no string": ('{"resourceType":["Patient"]}', 400),
    "a null": ('{"resourceType":"Patient","active":null}', 422),
    "an empty object": ('{"resourceType":"Patient","maritalStatus":{}}', 422),
    "an empty array": ('{"resourceType":"Patient","name":[]}', 422),
    "an empty string": ('{"resourceType":"Patient","language":""}', 422),
    "meta that is no object": ('{"resourceType":"Patient","meta":"x"}', 422),
    "a version that is no id": ('{"resourceType":"Patient","meta":{"versionId":"a b"}}', 422),
    "contained that is no array": ('{"resourceType":"Patient","contained":{}}', 422),
    "an identifier that is no object": ('{"resourceType":"Patient","identifier":[5]}', 422),
    "an extension that is a number": ('{"resourceType":"Patient","extension":[7]}', 422),
}


@pytest.mark.parametrize("name", TEXTS)
async def test_r_fhir_026_a_text_that_breaks_a_rule_of_json_or_fhir_is_refused(clinic: InProcess, name: str) -> None:
    text, status = TEXTS[name]
    before = await clinic.counts()

    answer = await clinic.caller().post("/fhir/Patient", text)

    assert answer.status_code == status
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert await clinic.counts() == before


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_r_fhir_009_a_fault_in_an_entry_is_found_at_its_place_in_the_entry(clinic: InProcess, kind: str) -> None:
    spoilt: Json = {"resourceType": "Patient", "gender": MARK, "birthDate": "2020-02-30"}
    request = {"method": "POST", "url": "Patient"}
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": spoilt, "request": request}]}

    answer = await clinic.caller().post("/fhir", bundle)

    outcome = read(answer)
    if kind == "batch":
        assert outcome["entry"][0]["response"]["status"].startswith("422")
        outcome = outcome["entry"][0]["response"]["outcome"]
    else:
        assert answer.status_code == 422
    found = [(each["code"], each["expression"][0].rpartition(".")[2]) for each in outcome["issue"]]
    assert found == [("code-invalid", "gender"), ("value", "birthDate")]
    assert MARK not in answer.text


async def test_r_fhir_009_a_patch_is_held_to_the_same_rules(clinic: InProcess) -> None:
    clerk = clinic.caller()
    made = await clerk.store({"resourceType": "Patient", "id": "patched", "gender": "female"})
    patch = json.encode([{"op": "replace", "path": "/gender", "value": MARK}])

    answer = await clerk.ask("PATCH", "/fhir/Patient/patched", patch, Content_Type="application/json-patch+json")

    assert answer.status_code == 422
    assert [each["expression"] for each in read(answer)["issue"]] == [["Patient.gender"]]
    assert read(await clerk.get("/fhir/Patient/patched")) == made
