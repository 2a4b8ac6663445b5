from copy import deepcopy
from typing import Any

import pytest

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json, decode

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "7",
    "gender": "female",
    "birthDate": "1980-05-02",
    "name": [
        {
            "family": "Çelik",
            "given": ["Ada", None],
            "_given": [None, {"extension": [{"url": "urn:x", "valueCode": "y"}]}],
        }
    ],
    "contact": [{"name": {"text": "Ali"}, "organization": {"reference": "Organization/1"}}],
    "generalPractitioner": [{"reference": "Practitioner/3"}],
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
    "subject": {"reference": "Patient/7"},
    "valueQuantity": {"value": 1, "unit": "m", "system": "http://unitsofmeasure.org", "code": "m"},
}


def issues(resource: Json) -> list[Issue]:
    try:
        validate(resource)
    except UnprocessableError as error:
        return list(error.issues)
    return []


def changed(resource: Json, **more: Any) -> list[tuple[str, str | None]]:
    """Code and place of each issue once some elements are others; None takes an element away."""
    altered = {name: value for name, value in (deepcopy(resource) | more).items() if value is not Ellipsis}
    return [(each.code, each.expression) for each in issues(altered)]


def test_a_valid_resource_passes_with_and_without_the_models() -> None:
    validate(PATIENT)
    validate(PATIENT, with_models=True)
    validate(OBSERVATION, with_models=True)


@pytest.mark.parametrize("name", [None, "Nothing", "Evidence", 5, "Resource", "HumanName"])
def test_a_type_that_is_not_served_is_refused(name: Any) -> None:
    with pytest.raises(UnprocessableError):
        validate({"resourceType": name})


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"name": []}, "Patient.name"),
        ({"name": [{}]}, "Patient.name[0]"),
        ({"name": [None]}, "Patient.name[0]"),
        ({"contact": {}}, "Patient.contact"),
        ({"maritalStatus": {}}, "Patient.maritalStatus"),
        ({"gender": ""}, "Patient.gender"),
        ({"gender": None}, "Patient.gender"),
        ({"gender": ["female"]}, "Patient.gender"),
        ({"name": [{"given": [None]}]}, "Patient.name[0].given[0]"),
        ({"name": [{"given": [""]}]}, "Patient.name[0].given[0]"),
        ({"name": [{"given": [["a"]]}]}, "Patient.name[0].given[0]"),
        ({"name": [{"given": "a"}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["a"], "_given": []}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["a"], "_given": [None]}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["a"], "_given": [{"id": "1"}, None]}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["a", None], "_given": [{"id": "1"}, None]}]}, "Patient.name[0].given[1]"),
        ({"_gender": {}}, "Patient.gender"),
        ({"_gender": None}, "Patient.gender"),
        ({"_id": {"id": "x"}}, "Patient"),
        ({"resourcetype": "Patient"}, "Patient"),
        ({"animal": True}, "Patient"),
        ({"fhir_comments": ["x"]}, "Patient"),
        ({"gender__ext": {"id": "1"}}, "Patient"),
    ],
)
def test_r_fhir_026_empty_null_and_unknown_things_are_refused_with_their_place(more: Json, place: str) -> None:
    assert place in [expression for _, expression in changed(PATIENT, **more)]


def test_r_fhir_026_a_null_is_allowed_where_an_extension_stands_in_for_the_value() -> None:
    extension = {"extension": [{"url": "urn:why", "valueCode": "unknown"}]}

    assert changed(PATIENT, name=[{"given": ["a", None], "_given": [None, extension]}]) == []
    assert changed(PATIENT, name=[{"_given": [extension]}]) == []
    assert changed(PATIENT, _birthDate={"id": "b1"}) == []
    assert changed(PATIENT, birthDate=..., _birthDate=extension) == []
    assert changed(PATIENT, birthDate=..., _birthDate={"id": "b1"}) == [("invariant", "Patient.birthDate")]


def test_r_fhir_009_each_fault_is_an_issue_with_its_place() -> None:
    found = changed(PATIENT, gender="nope", birthDate="yesterday", contact=[{"relationship": [{"coding": "x"}]}])

    assert found == [
        ("code-invalid", "Patient.gender"),
        ("value", "Patient.birthDate"),
        ("structure", "Patient.contact[0].relationship[0].coding"),
        ("invariant", "Patient.contact[0]"),
    ]


def test_r_fhir_009_what_is_missing_is_told_beside_what_is_wrong() -> None:
    assert changed(OBSERVATION, status="nope", code=..., effectiveDateTime="2026-02-30") == [
        ("code-invalid", "Observation.status"),
        ("value", "Observation.effective"),
        ("required", "Observation.code"),
    ]


def test_a_rule_is_not_asked_of_an_object_whose_own_elements_are_at_fault() -> None:
    backwards = {"start": "2026-02-30", "end": "2026-01-01"}

    assert changed(PATIENT, identifier=[{"period": backwards}]) == [("value", "Patient.identifier[0].period.start")]


def test_an_empty_object_is_one_fault_however_much_it_lacks() -> None:
    assert changed(PATIENT, link=[{}]) == [("invariant", "Patient.link[0]")]
    assert changed(PATIENT, link=[{"id": "x"}]) == [
        ("required", "Patient.link[0].other"),
        ("required", "Patient.link[0].type"),
    ]
    assert changed(PATIENT, name=[{"id": "x"}]) == [("invariant", "Patient.name[0]")]


def test_a_choice_has_one_type_and_is_named_as_fhirpath_names_it() -> None:
    assert changed(OBSERVATION, valueString="x") == [("structure", "Observation.value")]
    assert changed(OBSERVATION, valueQuantity={"value": "1.0"}) == [("value", "Observation.value.value")]
    assert changed(PATIENT, deceasedBoolean=True, _deceasedBoolean={"id": "a"}) == []
    assert changed(PATIENT, deceasedBoolean=True, deceasedDateTime="2026") == [("structure", "Patient.deceased")]


def test_what_is_required_must_be_there_or_say_why_not() -> None:
    extension = {"extension": [{"url": "urn:why", "valueCode": "masked"}]}

    assert changed(OBSERVATION, status=...) == [("required", "Observation.status")]
    assert changed(OBSERVATION, status=..., _status=extension) == []
    assert changed(PATIENT, link=[{"type": "seealso"}]) == [("required", "Patient.link[0].other")]
    request = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}}
    assert [each.expression for each in issues(request)] == ["MedicationRequest.medication"]


def test_required_bindings_hold_for_codes_and_concepts() -> None:
    condition: Json = {"resourceType": "Condition", "subject": {"reference": "Patient/7"}}
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"

    def status(concept: Json) -> list[tuple[str, str | None]]:
        return changed(condition, clinicalStatus=concept)

    assert status({"coding": [{"system": system, "code": "active"}]}) == []
    assert status({"coding": [{"code": "active"}]}) == [("code-invalid", "Condition.clinicalStatus")]
    assert status({"text": "active"}) == [("code-invalid", "Condition.clinicalStatus")]
    assert status({"extension": [{"url": "urn:why", "valueCode": "unknown"}]}) == []


def test_media_types_and_currencies_are_judged_by_their_syntax() -> None:
    assert changed(PATIENT, photo=[{"contentType": "image/jpeg; q=1", "url": "Binary/1"}]) == []
    assert changed(PATIENT, photo=[{"contentType": "a picture", "url": "Binary/1"}])[0][0] == "code-invalid"
    invoice: Json = {"resourceType": "Invoice", "status": "draft"}
    assert changed(invoice, totalNet={"value": 1, "currency": "EUR"}) == []
    assert changed(invoice, totalNet={"value": 1, "currency": "euro"})[0][0] == "code-invalid"


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/7",
        "Patient/7/_history/2",
        "https://x.example/Patient/7",
        "https://x.example/fhir/r4/Patient/7/_history/2",
        "https://x.example/Practitioner/7/photo",
        "https://x.example/Practitioner?identifier=7",
        "https://x.example/Customer/7",
        "urn:uuid:c757873d-ec9a-1326-a141-556f43239520",
        "urn:oid:1.2.3",
    ],
)
def test_a_well_formed_reference_to_an_allowed_type_passes(reference: str) -> None:
    assert changed(OBSERVATION, subject={"reference": reference}) == []


@pytest.mark.parametrize(
    "reference",
    [
        "Practitioner/3",
        "https://x.example/Practitioner/3",
        "http://x.example/fhir/Media/3/_history/1",
        "Nothing/3",
        "patient/3",
        "7",
        "Patient",
        "Patient/",
        "Patient?x=y",
        "#a b",
        "#p",
        "/x",
    ],
)
def test_other_references_are_refused(reference: str) -> None:
    found = changed(OBSERVATION, subject={"reference": reference})

    assert [place for _, place in found] == ["Observation.subject.reference"]


def test_a_reference_does_not_contradict_its_stated_type() -> None:
    assert changed(OBSERVATION, subject={"reference": "Patient/7", "type": "Patient"}) == []
    assert changed(OBSERVATION, subject={"reference": "Patient/7", "type": "Group"}) == [
        ("invalid", "Observation.subject.type")
    ]


@pytest.mark.parametrize("literal", [{}, {"reference": "urn:uuid:c757873d-ec9a-1326-a141-556f43239520"}])
def test_a_type_that_is_only_stated_is_judged(literal: Json) -> None:
    """A reference by identifier alone, or one whose text does not tell the type."""
    logical = {**literal, "identifier": {"value": "7"}}

    for allowed in ("Patient", "http://hl7.org/fhir/StructureDefinition/Group", "urn:of-another-kind"):
        assert changed(OBSERVATION, subject={**logical, "type": allowed}) == []
    for other in ("Media", "http://hl7.org/fhir/StructureDefinition/Practitioner"):
        assert changed(OBSERVATION, subject={**logical, "type": other}) == [("value", "Observation.subject.type")]
    assert changed(OBSERVATION, focus=[{**logical, "type": "Media"}]) == []


def test_what_is_contained_is_of_an_allowed_type() -> None:
    def holding(held: Json, **reference: str) -> list[tuple[str, str | None]]:
        return changed(OBSERVATION, contained=[{**held, "id": "p"}], subject={"reference": "#p", **reference})

    patient, location = {"resourceType": "Patient"}, {"resourceType": "Location"}
    assert holding(patient) == holding(location, type="Location") == []
    assert holding({"resourceType": "Practitioner"}) == [("value", "Observation.subject.reference")]
    assert holding(patient, type="Group") == [("invalid", "Observation.subject.type")]
    assert changed(OBSERVATION, subject={"reference": "#"}) == [("value", "Observation.subject.reference")]


def test_an_extension_has_a_value_or_extensions() -> None:
    def extended(extension: Json) -> list[tuple[str, str | None]]:
        return changed(PATIENT, extension=[extension])

    assert extended({"url": "urn:x", "valueMeta": {"versionId": "1"}}) == []
    assert extended({"url": "urn:x", "_valueCode": {"extension": [{"url": "urn:y", "valueCode": "z"}]}}) == []
    assert extended({"url": "urn:x"}) == [("invariant", "Patient.extension[0]")]
    both = {"url": "urn:x", "valueCode": "a", "extension": [{"url": "y", "valueCode": "b"}]}
    assert extended(both) == [("invariant", "Patient.extension[0]")]
    assert extended({"valueCode": "a"}) == [("required", "Patient.extension[0].url")]


def test_a_contained_resource_is_checked_as_its_own_type_and_keeps_the_rules_of_containment() -> None:
    def holding(*contained: Json, named: str = "#p") -> list[tuple[str, str | None]]:
        return changed(OBSERVATION, contained=list(contained), subject={"reference": named})

    assert holding({"resourceType": "Patient", "id": "p"}) == []
    assert holding({"resourceType": "Patient", "id": "p", "gender": "x"})[0][1] == "Observation.contained[0].gender"
    assert holding({"resourceType": "Nothing", "id": "p"})[0] == ("structure", "Observation.contained[0]")
    assert holding({"id": "p"})[0] == ("structure", "Observation.contained[0]")
    assert ("invariant", "Observation.contained[0]") in holding(
        {"resourceType": "Patient", "id": "p"}, named="Patient/7"
    )
    versioned = {"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}
    assert holding(versioned) == [("invariant", "Observation.contained[0].meta.versionId")]
    nested = {"resourceType": "Group", "id": "p", "type": "person", "actual": True, "contained": [versioned]}
    assert holding(nested)[0] == ("invariant", "Observation.contained[0].contained[0]")
    inner = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "#"}}
    outer = inner | {"id": "p", "contained": [inner]}
    assert changed(OBSERVATION, contained=[outer], focus=[{"reference": "#p"}]) == [
        ("invariant", "Observation.contained[0].contained")
    ]


def test_a_contained_resource_may_refer_to_what_contains_it_and_to_its_siblings() -> None:
    group: Json = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    group["member"] = [{"entity": {"reference": "#p"}}]
    patient = {"resourceType": "Patient", "id": "p"}

    assert changed(OBSERVATION, contained=[group, patient], subject={"reference": "#g"}) == []


def test_a_bundle_is_checked_down_to_its_entries() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": PATIENT}, {"resource": OBSERVATION | {"status": "x"}}],
    }

    assert [each.expression for each in issues(bundle)] == ["Bundle.entry[1].resource.status"]


def test_a_quantity_that_must_be_exact_has_no_comparator() -> None:
    limit = {"value": 1, "comparator": "<"}

    assert changed(OBSERVATION, referenceRange=[{"low": limit}])[0][1] == "Observation.referenceRange[0].low"
    assert changed(OBSERVATION, valueQuantity=limit) == []


def test_an_active_narrative_is_refused_at_its_place() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'

    assert changed(PATIENT, text={"status": "generated", "div": div}) == [("invalid", "Patient.text.div")]


def test_no_issue_quotes_what_it_found() -> None:
    def spoil(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: spoil(value) for name, value in node.items()} | {"Hilda": "Hilda"}
        return [spoil(each) for each in node] if isinstance(node, list) else "Hilda!"

    spoilt = spoil(PATIENT) | {"resourceType": "Patient"}

    assert len(issues(spoilt)) > 5
    assert not any("Hilda" in f"{each.diagnostics}{each.expression}" for each in issues(spoilt))


def test_a_name_in_the_wrong_case_is_answered_with_the_right_one() -> None:
    [issue] = issues(PATIENT | {"BirthDate": "1980"})

    assert issue.diagnostics == "Patient has no such element. Perhaps birthDate was meant."


def test_there_are_at_most_a_hundred_issues() -> None:
    assert len(issues({"resourceType": "Patient"} | {f"x{number}": 1 for number in range(5000)})) == 100
    assert len(issues(PATIENT | {"name": [{"family": 1, "text": 2}] * 5000})) == 100
    assert len(issues(PATIENT | {"name": [{"_given": [{"id": "x"}] * 5000}]})) == 100


def test_a_decimal_keeps_its_digits_and_stays_untouched() -> None:
    resource = decode(
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50}}'
    )
    before = deepcopy(resource)

    validate(resource, with_models=True)

    assert resource == before
    assert str(resource["valueQuantity"]["value"]) == "1.50"


def test_deep_nesting_is_checked_all_the_way() -> None:
    deepest = 25
    extension: Json = {"url": "x", "valueCode": " bad"}
    for _ in range(deepest):
        extension = {"url": "x", "extension": [extension]}

    [(code, place)] = changed(PATIENT, extension=[extension])

    assert code == "value"
    assert place == "Patient" + ".extension[0]" * (deepest + 1) + ".value"
