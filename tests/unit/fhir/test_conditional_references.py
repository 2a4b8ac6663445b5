"""References by search: found, told where, and replaced."""

from copy import deepcopy

import pytest

from fhir_server.fhir.conditional_references import conditional_references, is_conditional, with_references
from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json

BY_SEARCH = "Patient?identifier=urn:a|1&active=true"
OBSERVATION: Json = {
    "resourceType": "Observation",
    "subject": {"reference": BY_SEARCH},
    "performer": [{"display": "x"}, {"reference": "Practitioner?name=x"}, {"reference": "Practitioner/3"}],
    "note": [{"text": BY_SEARCH, "authorReference": {"reference": BY_SEARCH}}],
    "contained": [{"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": BY_SEARCH}}]}],
    "_status": {"extension": [{"url": "urn:x", "valueReference": {"reference": "Device?type=x"}}]},
}


def test_r_fhir_021_every_reference_by_search_is_found_with_its_places() -> None:
    assert dict(conditional_references(OBSERVATION)) == {
        BY_SEARCH: (
            "Observation.subject.reference",
            "Observation.note[0].author.reference",
            "Observation.contained[0].member[0].entity.reference",
        ),
        "Practitioner?name=x": ("Observation.performer[1].reference",),
        "Device?type=x": ("Observation.status.extension[0].value.reference",),
    }


def test_other_references_are_none_by_search() -> None:
    for text in ("Patient/7", "Patient", "Patient?", "patient?x=y", "Nothing?x=y", "urn:uuid:1?x=y", "#a?x=y", ""):
        assert not is_conditional(text)
    for text in ("https://x.example/Patient?x=y", "Patient?x= y", "Patient/7?x=y", "Resource?x=y", "?x=y"):
        assert not is_conditional(text)


def test_r_fhir_021_known_references_are_replaced_and_nothing_else() -> None:
    before = deepcopy(OBSERVATION)

    after = with_references(OBSERVATION, {BY_SEARCH: "Patient/7", "x": "y"})

    assert before == OBSERVATION
    assert after["subject"] == {"reference": "Patient/7"}
    assert after["note"] == [{"text": BY_SEARCH, "authorReference": {"reference": "Patient/7"}}]
    assert after["contained"][0]["member"] == [{"entity": {"reference": "Patient/7"}}]
    assert after["performer"] is OBSERVATION["performer"]
    assert with_references(OBSERVATION, {}) is OBSERVATION


def test_a_place_is_told_as_far_as_the_names_are_those_of_r4() -> None:
    resource: Json = {"resourceType": "Patient", "link": [{"Hilda": {"reference": "Patient/8"}}]}
    strange: Json = {"resourceType": "Hilda", "subject": {"reference": "Patient/8"}, "reference": "x"}

    assert [expression_of(resource, each.steps) for each in reference_places(resource)] == ["Patient.link[0]"]
    assert [expression_of(strange, each.steps) for each in reference_places(strange)] == ["", ".reference"]


def test_what_is_not_valid_is_walked_all_the_same() -> None:
    assert reference_places({"reference": 5, "a": [[{"reference": None}], None], "b": {"reference": {}}}) == []


def observation(reference: str) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": reference},
    }


def kept(kind: str, reference: str) -> Json:
    entry = {"resource": observation(reference), "request": {"method": "POST", "url": "Observation"}}
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


def test_r_fhir_021_a_transaction_that_is_kept_may_hold_references_by_search() -> None:
    validate(kept("transaction", "Patient?identifier=urn:x|1"))


@pytest.mark.parametrize(
    "resource",
    [
        observation("Patient?identifier=urn:x|1"),
        kept("batch", "Patient?identifier=urn:x|1"),
        kept("transaction", "Nothing?identifier=urn:x|1"),
        kept("transaction", "Medication?identifier=urn:x|1"),
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Bundle",
                        "type": "collection",
                        "entry": [{"resource": observation("Patient?identifier=urn:x|1")}],
                    },
                    "request": {"method": "POST", "url": "Bundle"},
                }
            ],
        },
    ],
)
def test_r_fhir_021_a_reference_by_search_that_nobody_will_resolve_is_refused(resource: Json) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        validate(resource)

    assert {issue.code for issue in refusal.value.issues} == {"value"}
