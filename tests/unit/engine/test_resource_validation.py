"""$validate tells everything and raises nothing that the resource is to blame for."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from fhir_server.engine import resource_validation
from fhir_server.engine.resource_validation import Question, question, validation_issues
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

PATIENT: Json = {"resourceType": "Patient", "gender": "female", "managingOrganization": {"reference": "Organization/1"}}
DEFINITION = "http://hl7.org/fhir/StructureDefinition/Patient"


def outcome(resource: Any, type: str = "Patient", id: str | None = None, **more: Any) -> list[tuple[str, str, Any]]:
    """Severity, code and place of each issue, on a server that holds Organization/1 alone."""

    async def missing(keys: Collection[ResourceKey]) -> set[ResourceKey]:
        return set(keys) - {ResourceKey("Organization", "1")}

    found = operation_outcome(asyncio.run(validation_issues(Question(resource, **more), type, id, missing)))
    validate(found, with_models=True)
    return [(each["severity"], each["code"], each.get("expression", [None])[0]) for each in found["issue"]]


def test_a_valid_resource_has_no_issues() -> None:
    for mode in (None, "create", "delete"):
        assert outcome(PATIENT, mode=mode) == [("information", "informational", None)]
    assert outcome({**PATIENT, "id": "7"}, id="7", mode="update") == [("information", "informational", None)]
    assert outcome(None, mode="delete") == [("information", "informational", None)]


def test_r_fhir_009_every_fault_is_an_issue_with_its_place() -> None:
    assert outcome({**PATIENT, "gender": "x", "birthDate": "y", "name": {}}) == [
        ("error", "code-invalid", "Patient.gender"),
        ("error", "value", "Patient.birthDate"),
        ("error", "structure", "Patient.name"),
    ]


def test_references_to_what_is_not_here_are_warnings() -> None:
    resource = {
        **PATIENT,
        "link": [{"other": {"reference": "Patient/8"}, "type": "seealso"}],
        "generalPractitioner": [{"reference": f"Practitioner/{id}"} for id in "34"] + [{"reference": "urn:uuid:1"}],
        "contact": [{"organization": {"reference": "https://x.example/Organization/2"}, "gender": "other"}],
    }

    assert outcome(resource)[-3:] == [
        ("warning", "not-found", "Patient.link[0].other.reference"),
        ("warning", "not-found", "Patient.generalPractitioner[0].reference"),
        ("warning", "not-found", "Patient.generalPractitioner[1].reference"),
    ]


def test_a_giant_is_judged_by_the_definitions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(resource_validation, "validate", lambda _, with_models: asked.append(with_models))

    for size in (10, 1 << 20):
        outcome({**PATIENT, "name": [{"text": "x" * size}]})

    assert asked == [True, False]


def test_a_bundle_brings_along_what_its_entries_name() -> None:
    links = [{"other": {"reference": f"Patient/{id}"}, "type": "seealso"} for id in "79"]
    linked = {"resourceType": "Patient", "id": "8", "link": links}
    entries = [{"resource": PATIENT | {"id": "7"}}, {"resource": linked}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}

    found = outcome(bundle, "Bundle")

    assert found == [("warning", "not-found", "Bundle.entry[1].resource.link[1].other.reference")]


def test_there_are_at_most_a_hundred_warnings() -> None:
    resource = {**PATIENT, "generalPractitioner": [{"reference": f"Practitioner/{id}"} for id in range(200)]}

    assert len(outcome(resource)) == 100


def test_a_mode_asks_for_the_rules_of_that_interaction() -> None:
    identifier = [{"system": "urn:a", "value": "12345"}]
    part = {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]}

    assert outcome(PATIENT, mode="update") == [("error", "required", "Patient.id")]
    assert outcome({**PATIENT, "id": "8"}, id="7", mode="update") == [("error", "invalid", "Patient.id")]
    telling = {**PATIENT, "id": "p-12345", "identifier": identifier}
    assert outcome(telling, mode="update") == [("error", "invalid", "Patient.identifier[0].value")]
    assert outcome(telling, mode="create") == [("information", "informational", None)]
    assert outcome({**PATIENT, "meta": part}, mode="create") == [("error", "invalid", "Patient.meta.tag")]
    assert outcome({**PATIENT, "meta": part}) == [("information", "informational", None)]


def test_a_resource_of_another_type_or_of_none_is_an_issue() -> None:
    assert outcome(PATIENT, "Group") == [("error", "invalid", "Group")]
    for resource in ({}, {"resourceType": None}, {"resourceType": "Evidence"}):
        assert [each[:2] for each in outcome(resource)] == [("error", "invalid")] * 2


def test_a_profile_is_said_not_to_have_been_checked() -> None:
    claiming = {**PATIENT, "meta": {"profile": ["urn:profile"]}}

    assert outcome(PATIENT, profile="urn:profile") == [("error", "not-supported", None)]
    assert outcome(PATIENT, profile=DEFINITION) == [("information", "informational", None)]
    assert outcome(claiming) == [("information", "informational", "Patient.meta.profile")]


def test_what_is_hopelessly_broken_is_told_too() -> None:
    broken = {"resourceType": "Patient", "id": ["x"], "meta": 5, "name": [[[]]], "link": [{"other": {"reference": 5}}]}

    assert ("error", "structure", "Patient.meta") in outcome(broken, mode="update", id="7")


def test_a_question_is_the_resource_itself_or_parameters_around_it() -> None:
    wrapped = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": PATIENT},
            {"name": "mode", "valueCode": "create"},
            {"name": "profile", "valueUri": DEFINITION},
        ],
    }

    assert question("Patient", PATIENT) == Question(PATIENT)
    assert question("Patient", PATIENT, "update", "urn:p") == Question(PATIENT, "update", "urn:p")
    assert question("Patient", wrapped) == Question(PATIENT, "create", DEFINITION)
    assert question("Patient", wrapped, "update") == Question(PATIENT, "update", DEFINITION)
    assert question("Patient", None, "delete", has_id=True) == Question(None, "delete")
    assert question("Patient", None, "profile", DEFINITION, has_id=True) == Question(None, "profile", DEFINITION)
    assert question("Patient", None, has_id=True) == Question(None)
    only_mode = {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]}
    assert question("Patient", only_mode, has_id=True) == Question(None, "delete")


def test_parameters_can_be_validated_themselves() -> None:
    own = {"resourceType": "Parameters", "parameter": [{"name": "x", "valueCode": "y"}]}
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": own}]}

    assert question("Parameters", own).resource == own
    assert question("Parameters", wrapped).resource == own


def wrapping(*parameters: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        (None, None),
        (None, "create"),
        (None, "delete"),
        (None, "profile"),
        ([], None),
        ("x", None),
        (PATIENT, "profile"),
        (PATIENT, "x"),
        (wrapping({"name": "mode", "valueCode": []}), None),
        (wrapping({"name": "resource", "resource": 5}), None),
        (wrapping({"name": "resource"}), None),
        (wrapping({"name": "resource", "resource": {}}, {"name": "profile", "valueUri": 5}), None),
    ],
)
def test_a_question_that_cannot_be_understood_is_400(body: Any, mode: str | None) -> None:
    with pytest.raises(InvalidRequestError):
        question("Patient", body, mode)
