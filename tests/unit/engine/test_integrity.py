"""Rules on identity: the URL and the body agree, and an id tells nothing."""

import pytest

from fhir_server.engine.integrity import (
    refuse_log_change,
    refuse_telling_id,
    refuse_telling_subjects,
    require_id,
    require_type,
)
from fhir_server.kernel.errors import InvalidRequestError, MethodNotAllowedError, UnprocessableError


def test_the_body_is_of_the_type_that_the_url_names() -> None:
    resource = {"resourceType": "Patient"}

    assert require_type(resource, "Patient") is resource
    others: list[object] = [{"resourceType": "Observation"}, {}, [], None, "Patient", 7, {"resourceType": ["Patient"]}]
    for body in others:
        with pytest.raises(InvalidRequestError):
            require_type(body, "Patient")


@pytest.mark.parametrize("body", [{}, {"id": "8"}, {"id": 7}, {"id": None}])
def test_an_update_names_its_target_twice(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        require_id({"resourceType": "Patient", **body}, "7")


def test_both_names_agree() -> None:
    require_id({"resourceType": "Patient", "id": "7"}, "7")

    with pytest.raises(InvalidRequestError):
        require_id({"resourceType": "Patient", "id": "a b"}, "a b")


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("999-19-9834", "999-19-9834"),
        ("9991-99834", "999-19-9834"),
        ("ssn.999199834", "999-19-9834"),
        ("MRN-12345", "mrn12345"),
        ("12", "12"),
        ("a", "A"),
        ("x-1234-y", "12 34"),
    ],
)
def test_an_id_that_contains_an_identifier_is_refused(id: str, value: str) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        refuse_telling_id({"resourceType": "Patient", "identifier": [{"value": "other"}, {"value": value}]}, id)

    assert refusal.value.issues[0].expression == "Patient.identifier[1].value"
    assert value not in str(refusal.value)


@pytest.mark.parametrize(
    ("id", "identifier"),
    [
        ("a12b", [{"value": "12"}]),
        ("7", [{"value": ""}]),
        ("7", [{"system": "urn:x"}]),
        ("7", None),
        ("7", ["12345"]),
        ("7", {"value": "12345"}),
        ("7", [{"value": None}]),
        ("7", [{"value": "--"}]),
    ],
)
def test_an_id_that_tells_nothing_is_taken(id: str, identifier: object) -> None:
    refuse_telling_id({"resourceType": "Patient", "identifier": identifier}, id)


def test_an_identifier_that_is_not_in_an_array_counts_as_well() -> None:
    with pytest.raises(UnprocessableError):
        refuse_telling_id({"resourceType": "Bundle", "identifier": {"value": "12345"}}, "b-12345")


def test_the_log_is_only_added_to() -> None:
    refuse_log_change("Patient")

    with pytest.raises(MethodNotAllowedError):
        refuse_log_change("AuditEvent")


@pytest.mark.parametrize("id", ["943-476-5919", "nhs-9434765919", "12345678Z"])
def test_an_id_that_is_a_national_number_is_refused(id: str) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        refuse_telling_id({"resourceType": "Patient"}, id)

    [issue] = refusal.value.issues
    assert issue.expression == "Patient.id"
    assert id not in issue.diagnostics


def test_so_is_one_by_which_a_patient_is_named_at_every_place() -> None:
    id = "9434765919"
    named = {"reference": f"Patient/{id}"}
    resource = {"resourceType": "Observation", "subject": named, "focus": [{"reference": "Patient/7"}, named]}

    with pytest.raises(UnprocessableError) as refusal:
        refuse_telling_subjects(resource, ("7", id))

    assert [issue.expression for issue in refusal.value.issues] == [
        "Observation.subject.reference",
        "Observation.focus[1].reference",
    ]
    refuse_telling_subjects(resource, ("7",))
