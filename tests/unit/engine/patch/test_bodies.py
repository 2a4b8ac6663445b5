"""Which kind of patch an entry of a bundle brings."""

import base64

import pytest

from fhir_server.engine.patch.bodies import JSON_PATCH, edit_of
from fhir_server.kernel.errors import FhirError, InvalidRequestError
from fhir_server.kernel.json import Json

PATIENT = {"resourceType": "Patient", "id": "7"}


def binary(text: bytes, content_type: str = JSON_PATCH) -> Json:
    return {"resourceType": "Binary", "contentType": content_type, "data": base64.b64encode(text).decode()}


def test_r_fhir_014_a_binary_brings_a_json_patch() -> None:
    edit = edit_of(binary(b'[{"op":"add","path":"/gender","value":"female"}]'))

    assert edit(PATIENT) == {**PATIENT, "gender": "female"}


def test_a_binary_brings_a_merge_patch() -> None:
    edit = edit_of(binary(b'{"gender":"female"}', "application/merge-patch+json"))

    assert edit(PATIENT) == {**PATIENT, "gender": "female"}


def test_r_fhir_066_parameters_bring_a_fhirpath_patch() -> None:
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "gender"},
        {"name": "value", "valueCode": "female"},
    ]
    edit = edit_of({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]})

    assert edit(PATIENT) == {**PATIENT, "gender": "female"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        PATIENT,
        {"resourceType": ["Binary"]},
        binary(b"[]", "application/json"),
        {"resourceType": "Binary", "contentType": JSON_PATCH, "data": "%%%"},
        {"resourceType": "Binary", "contentType": JSON_PATCH, "data": "abc"},
    ],
)
def test_what_is_no_patch_is_refused(body: Json) -> None:
    with pytest.raises(InvalidRequestError):
        edit_of(body)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"op":"add"}'])
def test_a_binary_that_holds_no_json_patch_is_refused_as_a_fault_of_the_client(text: bytes) -> None:
    with pytest.raises(FhirError) as refusal:
        edit_of(binary(text))

    assert refusal.value.status == 400
