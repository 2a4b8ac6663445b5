from fhir_server.fhir.data import read
from fhir_server.fhir.elements import Element, children


def test_a_choice_has_one_property_for_each_of_its_types() -> None:
    values = children("Observation")["value"]

    assert Element("valueQuantity", "Quantity", many=False) in values
    assert Element("valueDateTime", "dateTime", many=False) in values
    assert len(values) == 11


def test_inherited_elements_come_before_own_ones() -> None:
    names = list(children("Patient"))

    assert names[:8] == [
        "id",
        "meta",
        "implicitRules",
        "language",
        "text",
        "contained",
        "extension",
        "modifierExtension",
    ]
    assert names[-1] == "link"
    assert children("Patient")["id"] == (Element("id", "id", many=False),)


def test_a_backbone_element_is_known_by_its_path() -> None:
    assert children("Patient")["contact"] == (Element("contact", "Patient.contact", many=True),)
    assert "modifierExtension" in children("Patient.contact")
    assert children("Timing.repeat")["bounds"][2] == Element("boundsPeriod", "Period", many=False)


def test_an_element_that_refers_to_another_has_its_type() -> None:
    assert children("Questionnaire.item")["item"] == (Element("item", "Questionnaire.item", many=True),)


def test_a_profile_that_stands_as_a_type_is_its_type() -> None:
    assert children("Observation.referenceRange")["low"] == (Element("low", "Quantity", many=False),)


def test_resources_within_resources_have_the_type_resource() -> None:
    assert children("Bundle.entry")["resource"] == (Element("resource", "Resource", many=False),)
    assert children("Patient")["contained"] == (Element("contained", "Resource", many=True),)


def test_primitives_have_ids_and_extensions_and_unknown_types_have_nothing() -> None:
    assert set(children("string")) == {"id", "extension"}
    assert not children("Nothing")


def test_every_type_that_an_element_names_is_defined() -> None:
    types = read("types")
    named = {element.type for name in types for elements in children(name).values() for element in elements}

    assert named <= types.keys()
    assert len([name for name, each in types.items() if each["kind"] == "resource" and "abstract" not in each]) == 146
