"""R4 search, reference: id, type and id, URL, `:[type]`, `:identifier`."""

import pytest

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from tests.unit.search.asking import BASE, finds, observation

RELATIVE = observation(subject={"reference": "Patient/7"})
ABSOLUTE = observation(subject={"reference": f"{BASE}/Patient/7"})
VERSIONED = observation(subject={"reference": "Patient/7/_history/3"})
FOREIGN = observation(subject={"reference": "https://elsewhere.example/fhir/Patient/7"})


@pytest.mark.parametrize("stored", [RELATIVE, ABSOLUTE, VERSIONED])
@pytest.mark.parametrize(
    "asked",
    [
        "subject=7",
        "subject=Patient/7",
        f"subject={BASE}/Patient/7",
        "patient=7",
        "patient=Patient/7",
        "subject:Patient=7",
        "subject:Patient=Patient/7",
    ],
)
def test_r_fhir_047_every_form_finds_relative_and_absolute_references(stored: Json, asked: str) -> None:
    assert finds(stored, asked)


@pytest.mark.parametrize(
    "asked",
    [
        "subject=8",
        "subject=Group/7",
        "subject:Group=7",
        "subject=https://elsewhere.example/fhir/Patient/7",
    ],
)
def test_another_resource_is_another(asked: str) -> None:
    assert not finds(RELATIVE, asked)


def test_a_resource_elsewhere_is_found_by_its_url_alone() -> None:
    assert finds(FOREIGN, "subject=https://elsewhere.example/fhir/Patient/7")
    assert not finds(FOREIGN, "subject=Patient/7")
    assert not finds(FOREIGN, "patient=7")
    assert not finds(FOREIGN, f"subject={BASE}/Patient/7")


def test_a_version_is_asked_for_by_the_whole_reference() -> None:
    assert finds(VERSIONED, "subject=Patient/7/_history/3")
    assert not finds(VERSIONED, "subject=Patient/7/_history/4")
    assert not finds(RELATIVE, "subject=Patient/7/_history/3")


def test_a_reference_without_an_id_is_found_as_written() -> None:
    stored = observation(subject={"reference": "urn:uuid:3fdc72f4-a11d-4a9d-9260-a9f745779e1d"})

    assert finds(stored, "subject=urn:uuid:3fdc72f4-a11d-4a9d-9260-a9f745779e1d")
    assert not finds(stored, "subject=3fdc72f4-a11d-4a9d-9260-a9f745779e1d")


def test_r_fhir_048_an_identifier_inside_the_reference() -> None:
    stored = observation(subject={"identifier": {"system": "urn:oid:1.2.3", "value": "AB-12"}})

    assert finds(stored, "subject:identifier=urn:oid:1.2.3|ab-12")
    assert finds(stored, "subject:identifier=urn:oid:1.2.3|")
    assert not finds(stored, "subject:identifier=urn:oid:9|AB-12")
    assert not finds(stored, "subject=AB-12")
    assert not finds(RELATIVE, "subject:identifier=7")


def test_a_patient_parameter_wants_a_patient() -> None:
    assert finds(observation(subject={"reference": "Device/7"}), "subject=7")
    assert not finds(observation(subject={"reference": "Device/7"}), "patient=7")


def test_a_canonical_is_found_with_or_without_its_version() -> None:
    url = "http://hl7.org/fhir/Questionnaire/phq9"
    stored = {"resourceType": "QuestionnaireResponse", "id": "q", "questionnaire": f"{url}|2.1"}

    assert finds(stored, f"questionnaire={url}")
    assert finds(stored, rf"questionnaire={url}\|2.1")
    assert finds(stored, f"questionnaire={url}|2.1")
    assert not finds(stored, f"questionnaire={url}|2.2")


def test_what_is_contained_has_no_address() -> None:
    assert finds(observation(subject={"reference": "#p"}), "subject:missing=true")


def test_the_first_entry_of_a_document_is_referred_to() -> None:
    bundle = {"resourceType": "Bundle", "id": "b", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]}

    assert finds(bundle, "composition=c")
    assert finds(bundle, "composition=Composition/c")
    assert not finds(bundle, "composition=d")


def test_a_parameter_that_may_name_anything_takes_a_bare_id() -> None:
    provenance = {"resourceType": "Provenance", "id": "p", "target": [{"reference": "Media/9"}]}

    assert finds(provenance, "target=9")
    assert finds(provenance, "target=8,9"), "too many keywords for the index, and right all the same"


def test_a_type_and_a_reference_to_another_contradict() -> None:
    with pytest.raises(InvalidRequestError):
        finds(RELATIVE, "subject:Patient=Group/7")


@pytest.mark.parametrize(
    "subject", [{"reference": 7}, {"reference": ""}, {"identifier": "x"}, {"display": "Ada"}, "Patient/7"]
)
def test_what_is_no_reference_is_not_found(subject: Json | str) -> None:
    assert finds(observation(subject=subject), "subject:missing=true")
