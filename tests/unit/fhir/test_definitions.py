from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import Component, compartments, search_parameters, served_types
from fhir_server.fhir.fhirpath import compile_path
from tests.unit.fhir.real_input import examples, synthea


def test_types_whose_models_have_another_shape_are_not_served_and_each_has_a_reason() -> None:
    refused = read("refused_types")

    assert len(served_types()) == 126
    assert "Evidence" not in served_types()
    assert not served_types() & refused.keys()
    assert all(refused.values())


def test_every_type_in_the_real_input_is_served() -> None:
    assert {each["resourceType"] for each in (*synthea(), *examples().values())} <= served_types()


def test_a_parameter_of_many_types_speaks_of_the_one_asked_for() -> None:
    code = search_parameters("MedicationRequest")["code"]

    assert code.expression == "(MedicationRequest.medication as CodeableConcept)"
    assert code.kind == "token"


def test_a_relative_expression_is_of_its_only_type() -> None:
    assert search_parameters("InsurancePlan")["name"].expression == "InsurancePlan.name | InsurancePlan.alias"


def test_a_composite_names_its_parts() -> None:
    composite = search_parameters("Observation")["code-value-quantity"]

    assert composite.kind == "composite"
    assert composite.components == (
        Component("code", "code"),
        Component("value-quantity", "value.as(Quantity)"),
    )


def test_references_know_their_targets() -> None:
    assert search_parameters("Observation")["patient"].targets == {"Patient", "Group"}


def test_what_any_resource_has_is_searched_on_every_type() -> None:
    everywhere = {"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"}

    assert all(everywhere <= search_parameters(name).keys() for name in served_types())
    assert not search_parameters("Nothing")


def test_no_examples_and_no_parameters_of_extensions_are_among_them() -> None:
    assert "mothersMaidenName" not in search_parameters("Patient")
    assert search_parameters("Condition")["subject"].targets == {"Group", "Patient"}


def test_every_expression_compiles_for_its_type() -> None:
    for name in served_types():
        for each in search_parameters(name).values():
            compile_path(each.expression, name)


def test_compartments_are_those_of_the_specification() -> None:
    assert compartments("AllergyIntolerance")["Patient"] == ("patient", "recorder", "asserter")
    assert compartments("Patient")["Patient"] == ("link",)
    assert "Patient" not in compartments("Task")
    assert not compartments("Organization")


def test_every_compartment_rests_on_a_reference_parameter() -> None:
    for name in served_types():
        for codes in compartments(name).values():
            assert all(search_parameters(name)[code].kind == "reference" for code in codes)
