"""The subset of FHIRPath that search parameters are written in."""

from typing import Any

import pytest

from fhir_server.fhir.definitions import search_parameters, served_types
from fhir_server.fhir.fhirpath import PathError, compile_path
from fhir_server.kernel.json import Json

PATIENT: Json = {
    "resourceType": "Patient",
    "name": [{"family": "Berg", "given": ["Ada", None, "Maria"]}, {"family": "Tal"}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b.example"}],
    "extension": [{"url": "urn:x", "valueString": "here"}, {"url": "urn:y", "valueString": "not here"}],
}


def values(expression: str, resource: Json) -> list[Any]:
    return [value for _, value in compile_path(expression, resource["resourceType"])(resource)]


def test_a_path_flattens_what_repeats_and_leaves_out_the_nulls() -> None:
    assert compile_path("Patient.name.given", "Patient")(PATIENT) == [("string", "Ada"), ("string", "Maria")]


def test_a_path_that_is_not_there_is_empty() -> None:
    assert values("Patient.contact.name.family", PATIENT) == []


def test_an_alternative_that_speaks_of_another_type_is_nothing() -> None:
    assert values("Person.name.family | Patient.name.family", PATIENT) == ["Berg", "Tal"]


def test_a_union_in_brackets_can_be_gone_into() -> None:
    observation = {"resourceType": "Observation", "valueCodeableConcept": {"text": "pale"}}

    assert values("(Observation.value as CodeableConcept).text", observation) == ["pale"]
    assert values("(Observation.code | Observation.value.as(CodeableConcept)).text", observation) == ["pale"]


def test_a_choice_keeps_the_type_that_was_chosen() -> None:
    path = compile_path("Observation.value", "Observation")

    assert path({"resourceType": "Observation", "valueString": "x"}) == [("string", "x")]
    assert path({"resourceType": "Observation", "valueQuantity": {"value": 1}}) == [("Quantity", {"value": 1})]


@pytest.mark.parametrize(
    "cast", ["(Observation.value as {})", "Observation.value.as({})", "Observation.value.ofType({})"]
)
def test_a_cast_keeps_one_type_of_a_choice(cast: str) -> None:
    observation = {"resourceType": "Observation", "valueDateTime": "2024"}

    assert values(cast.format("dateTime"), observation) == ["2024"]
    assert values(cast.format("System.DateTime"), observation) == ["2024"]
    assert values(cast.format("string"), observation) == []


def test_a_cast_to_a_general_type_keeps_its_special_forms() -> None:
    condition = {"resourceType": "Condition", "onsetAge": {"value": 40}}

    assert compile_path("Condition.onset as Quantity", "Condition")(condition) == [("Age", {"value": 40})]


def test_a_cast_also_stands_on_several_items() -> None:
    observation = {"resourceType": "Observation", "component": [{"valueString": "a"}, {"valueString": "b"}]}

    assert values("(Observation.component.value as string)", observation) == ["a", "b"]


def test_where_keeps_what_meets_its_criterion() -> None:
    assert values("Patient.telecom.where(system='email').value", PATIENT) == ["a@b.example"]
    assert values("Patient.telecom.where(system!='email').value", PATIENT) == ["1"]
    assert values("Patient.telecom.where(system='phone' and value='1').value", PATIENT) == ["1"]
    assert values("Patient.telecom.where(use='home').value", PATIENT) == []
    assert values("Patient.telecom.where(use!='home').value", PATIENT) == [], "nothing is neither equal nor unequal"


def test_an_index_takes_one_item_of_the_whole() -> None:
    assert values("Patient.name[1].family", PATIENT) == ["Tal"]
    assert values("Patient.name[2].family", PATIENT) == []


def test_an_extension_is_found_by_its_url() -> None:
    assert values("Patient.extension('urn:x').value", PATIENT) == ["here"]
    assert values("Patient.name.where(hasExtension('urn:x')).family", PATIENT) == []
    assert values("Patient.extension.where(url='urn:y').value", PATIENT) == ["not here"]


@pytest.mark.parametrize(
    ("deceased", "answer"),
    [
        ({}, [False]),
        ({"deceasedBoolean": False}, [False]),
        ({"deceasedBoolean": True}, [True]),
        ({"deceasedDateTime": "2024"}, [True]),
    ],
)
def test_a_condition_is_a_value_too(deceased: Json, answer: list[bool]) -> None:
    expression = "Patient.deceased.exists() and Patient.deceased != false"

    assert values(expression, {"resourceType": "Patient", **deceased}) == answer


def test_a_number_is_no_truth() -> None:
    assert values("Patient.multipleBirth = true", {"resourceType": "Patient", "multipleBirthInteger": 1}) == [False]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/7"},
        {"reference": "Patient/7/_history/2"},
        {"reference": "https://elsewhere.example/fhir/Patient/7"},
        {"reference": "#me"},
        {"type": "Patient", "identifier": {"value": "1"}},
        {"type": "http://hl7.org/fhir/StructureDefinition/Patient"},
        {"reference": "urn:uuid:3fdc72f4-a11d-4a9d-9260-a9f745779e1d", "type": "Patient"},
    ],
)
def test_resolve_asks_the_reference_and_fetches_nothing(subject: Json) -> None:
    observation = {
        "resourceType": "Observation",
        "subject": subject,
        "contained": [{"resourceType": "Device", "id": "it"}, {"resourceType": "Patient", "id": "me"}],
    }

    assert values("Observation.subject.where(resolve() is Patient)", observation) == [subject]
    assert values("Observation.subject.where(resolve() is Group)", observation) == []


@pytest.mark.parametrize(
    "subject", [{"reference": "urn:uuid:3fdc72f4"}, {"reference": "#gone"}, {"display": "someone"}, {"reference": 1}]
)
def test_a_reference_that_does_not_say_its_type_is_of_none(subject: Json) -> None:
    observation = {"resourceType": "Observation", "subject": subject}

    assert values("Observation.subject.where(resolve() is Patient)", observation) == []


def test_a_bare_url_says_its_type_too() -> None:
    concepts: Json = {"resourceType": "ConceptMap", "sourceCanonical": "http://x.example/ValueSet/1"}

    assert values("ConceptMap.source.where(resolve() is ValueSet)", concepts) == ["http://x.example/ValueSet/1"]
    assert values("ConceptMap.source.where(resolve() is CodeSystem)", concepts) == []
    assert (
        values("Observation.value.where(resolve() is Patient)", {"resourceType": "Observation", "valueInteger": 1})
        == []
    )


def test_a_hash_alone_is_the_resource_itself() -> None:
    listed = {"resourceType": "List", "subject": {"reference": "#"}}

    assert values("List.subject.where(resolve() is List)", listed) == [{"reference": "#"}]


def test_a_resource_inside_says_itself_what_it_is() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]}

    assert compile_path("Bundle.entry[0].resource", "Bundle")(bundle) == [
        ("Composition", {"resourceType": "Composition", "id": "c"})
    ]
    assert values("Bundle.entry.resource.ofType(Composition).id", bundle) == ["c"]
    assert values("Bundle.entry.resource.ofType(Patient).id", bundle) == []
    assert values("Bundle.entry.where(resource is Composition).resource.id", bundle) == ["c"]


def test_a_part_reaches_the_whole_by_its_variable() -> None:
    sequence: Json = {
        "resourceType": "MolecularSequence",
        "referenceSeq": {"chromosome": {"text": "X"}},
        "variant": [{"start": 3}],
    }
    path = compile_path("%resource.referenceSeq.chromosome", "MolecularSequence.variant")

    assert path(sequence["variant"][0], sequence) == [("CodeableConcept", {"text": "X"})]


@pytest.mark.parametrize(
    "malformed",
    [{"name": "Berg"}, {"name": ["Berg"]}, {"name": {"family": "Berg"}}, {"name": None}, {"name": [{"family": None}]}],
)
def test_what_does_not_have_the_shape_of_its_definition_is_empty(malformed: Json) -> None:
    assert values("Patient.name.family", {"resourceType": "Patient", **malformed}) == []


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Patient.",
        "Patient.nmae",
        "Patinet.name",
        "Patient.name[",
        "Patient.name[x]",
        "Patient.name.where()",
        "Patient.name.where(family)",
        "Patient.name.first()",
        "Patient.name.given.substring(1)",
        "Patient.name | 'x'",
        "Patient.deceased[0]",
        "Patient.name as Quantity",
        "as(Patient)",
        "%context.name",
        "Patient.name ~ 'x'",
        "Patient.name 'x'",
        "'unclosed",
        "resolve()",
        "Patient.link.other.resolve().name",
        "(" * 40 + "Patient" + ")" * 40,
        "Patient" + ".name" * 3000,
    ],
)
def test_what_is_not_known_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(PathError):
        compile_path(expression, "Patient")


def test_every_search_parameter_of_r4_compiles() -> None:
    for type_name in served_types():
        for parameter in search_parameters(type_name).values():
            path = compile_path(parameter.expression, type_name)

            assert path.lanes, f"{type_name}.{parameter.code} leads nowhere"
            for component in parameter.components:
                assert all(compile_path(component.expression, lane.type).lanes for lane in path.lanes)


def test_a_lane_knows_where_it_leads() -> None:
    (lane,) = compile_path("Patient.telecom.where(system='phone').value", "Patient").lanes

    assert (lane.names, lane.owner, lane.narrowed, lane.many) == (("telecom", "value"), "ContactPoint", True, True)
