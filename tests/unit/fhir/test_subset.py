"""What `_elements` and `_summary` leave of a resource."""

from copy import deepcopy
from typing import Any

import pytest

from fhir_server.fhir.data import read
from fhir_server.fhir.subset import SummaryMode, elements_of, refuse_subsetted, summary
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json, encode
from tests.unit.fhir.real_input import examples

TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
META = {"tag": [TAG]}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "7",
    "meta": {"versionId": "2", "tag": [{"system": "urn:x", "code": "y"}]},
    "implicitRules": "urn:rules",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "contained": [{"resourceType": "Organization", "id": "a", "name": "x"}],
    "extension": [{"url": "urn:x", "valueCode": "y"}],
    "modifierExtension": [{"url": "urn:m", "valueCode": "y"}],
    "identifier": [{"id": "i", "system": "urn:a", "extension": [{"url": "urn:x", "valueCode": "y"}]}],
    "birthDate": "1980",
    "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "y"}]},
    "deceasedBoolean": False,
    "maritalStatus": {"text": "x"},
    "photo": [{"contentType": "image/png", "data": "AAAA", "title": "x"}],
    "contact": [{"gender": "male"}],
    "link": [{"other": {"reference": "Patient/8"}, "type": "seealso"}],
}
MEDIA: Json = {
    "resourceType": "Media",
    "status": "completed",
    "content": {"contentType": "image/png", "data": "AAAA", "title": "x"},
    "note": [{"text": "x"}],
}
REQUEST: Json = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "x"},
    "subject": {"reference": "Patient/7"},
    "authoredOn": "2026-01-05",
    "dispenseRequest": {"quantity": {"value": 1}},
}


def test_r_fhir_059_elements_keep_what_was_named_what_is_mandatory_and_say_that_the_rest_is_missing() -> None:
    before = deepcopy(PATIENT)

    part = elements_of(PATIENT, frozenset({"birthDate", "photo", "nothing"}))

    assert part == {
        "resourceType": "Patient",
        "id": "7",
        "meta": {"versionId": "2", "tag": [{"system": "urn:x", "code": "y"}, TAG]},
        **{name: PATIENT[name] for name in ("implicitRules", "modifierExtension", "birthDate", "_birthDate", "photo")},
    }
    assert list(part)[:3] == ["resourceType", "id", "meta"]
    assert before == PATIENT


def test_r_fhir_059_mandatory_elements_are_kept_also_as_a_choice_or_as_a_reason_for_their_absence() -> None:
    mandatory = ("resourceType", "status", "intent", "medicationCodeableConcept", "subject")
    absent = {name: value for name, value in REQUEST.items() if name != "status"}
    absent["_status"] = {"extension": [{"url": "urn:why", "valueCode": "masked"}]}

    assert elements_of(REQUEST, frozenset()) == {"meta": META, **{name: REQUEST[name] for name in mandatory}}
    assert elements_of(absent, frozenset())["_status"] == absent["_status"]
    validate(elements_of(REQUEST, frozenset()))


def test_an_element_with_several_types_is_named_without_one() -> None:
    assert elements_of(PATIENT, frozenset({"deceased"}))["deceasedBoolean"] is False
    assert "deceasedBoolean" not in elements_of(PATIENT, frozenset({"dece"}))


def test_r_fhir_059_a_summary_has_what_the_definitions_mark_at_every_depth() -> None:
    part = summary(PATIENT, "true")

    left_out = {"text", "contained", "extension", "maritalStatus", "photo", "contact"}
    assert part.keys() == PATIENT.keys() - left_out
    assert part["identifier"] == [{"system": "urn:a"}]
    assert part["meta"]["tag"][-1] == TAG
    assert part["link"] == PATIENT["link"]


def test_a_summary_carries_no_image_data() -> None:
    assert summary(MEDIA, "true") == {
        "resourceType": "Media",
        "meta": META,
        "status": "completed",
        "content": {"contentType": "image/png", "title": "x"},
    }


def test_what_a_summary_would_empty_stays_whole() -> None:
    why = {"extension": [{"url": "urn:why", "valueCode": "masked"}]}
    observation = {"resourceType": "Observation", "status": "final", "code": why, "identifier": [why]}

    part = summary(observation, "true")

    assert part["code"] == why
    assert part["identifier"] == [why]


def test_a_resource_inside_another_is_left_as_it_is() -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT, "id": "x"}]}

    assert summary(bundle, "true")["entry"] == [{"resource": PATIENT}]


def test_the_other_summaries() -> None:
    assert summary(PATIENT, "false") is PATIENT
    assert summary(PATIENT, "data") == {
        **{name: value for name, value in PATIENT.items() if name != "text"},
        "meta": {"versionId": "2", "tag": [{"system": "urn:x", "code": "y"}, TAG]},
    }
    assert set(summary(PATIENT, "text")) == {"resourceType", "id", "meta", "text", "implicitRules", "modifierExtension"}
    assert summary(summary(PATIENT, "data"), "data") == summary(PATIENT, "data")


@pytest.mark.parametrize("mode", ["true", "text", "data"])
def test_r_fhir_059_a_part_of_a_published_resource_lacks_no_mandatory_element(mode: SummaryMode) -> None:
    """A rule may miss what was left out (a contained resource); the structure never does."""
    checked = 0
    for resource in examples().values():
        if faults(resource):
            continue
        before = encode(resource)
        for part in (summary(resource, mode), elements_of(resource, frozenset({"text"}))):
            assert not faults(part) - {"invariant"}
            with pytest.raises(UnprocessableError):
                refuse_subsetted(part)
        assert encode(resource) == before
        checked += 1

    assert checked > 50


def faults(resource: Json) -> set[str]:
    try:
        validate(resource)
    except UnprocessableError as error:
        return {each.code for each in error.issues}
    return set()


def test_r_fhir_059_what_is_tagged_as_a_part_is_refused() -> None:
    with pytest.raises(UnprocessableError) as caught:
        refuse_subsetted({"resourceType": "Patient", "meta": {"tag": [{"code": "x"}, {**TAG, "display": "Part"}]}})

    assert caught.value.issues[0].expression == "Patient.meta.tag"


@pytest.mark.parametrize(
    "meta",
    [
        None,
        1,
        [],
        {},
        {"tag": None},
        {"tag": {"code": "SUBSETTED"}},
        {"tag": ["SUBSETTED"]},
        {"tag": [{"code": "SUBSETTED"}]},
    ],
)
def test_other_tags_and_what_is_no_tag_are_none_of_its_business(meta: Any) -> None:
    refuse_subsetted({"resourceType": "Patient", "meta": meta})
    refuse_subsetted({"resourceType": "Patient"})


def test_the_definitions_mark_what_belongs_to_a_summary() -> None:
    patient, attachment = read("types")["Patient"]["elements"], read("types")["Attachment"]["elements"]

    assert {name for name, each in patient.items() if each.get("summary")} == {
        "identifier", "active", "name", "telecom", "gender", "birthDate", "deceased[x]", "address",
        "managingOrganization", "link",
    }  # fmt: skip
    assert "summary" not in attachment["data"]
    assert attachment["contentType"]["summary"] is True
