"""Validation against resources that others wrote."""

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.unit.fhir.real_input import examples, guide, synthea

NO_LINK_ID = "an item has no linkId, which R4 requires"
REFUSED = {
    "basic-questionnaire.json": NO_LINK_ID,
    "clinicalimpression-questionnaire.json": NO_LINK_ID,
    "condition-questionnaire.json": NO_LINK_ID,
    "researchdefinition-questionnaire.json": NO_LINK_ID,
    "substance-questionnaire.json": NO_LINK_ID,
}


def refusal(resource: Json, *, with_models: bool = False) -> list[tuple[str, str | None]]:
    try:
        validate(resource, with_models=with_models)
    except UnprocessableError as error:
        return [(each.code, each.expression) for each in error.issues]
    return []


def test_every_resource_of_synthea_is_valid() -> None:
    assert [(each["id"], found) for each in synthea() if (found := refusal(each))] == []


def test_the_published_examples_are_valid_but_for_those_that_break_a_rule() -> None:
    refused = {name: found for name, each in examples().items() if (found := refusal(each))}

    assert refused.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason == NO_LINK_ID
        assert {code for code, _ in refused[name]} == {"required"}
        assert all(str(place).endswith(".linkId") for _, place in refused[name])


def test_what_the_guides_of_ihe_publish_is_valid_but_for_one_binary_that_is_no_base64() -> None:
    resources = [*guide("ihe-pcf"), *guide("ihe-balp")]
    whole = [each for each in resources if each["resourceType"] != "StructureDefinition"]  # those lost their prose

    assert {each["id"]: found for each in whole if (found := refusal(each))} == {"B-ink": [("value", "Binary.data")]}


def test_the_models_agree_on_what_is_valid() -> None:
    resources = [each for name, each in examples().items() if name not in REFUSED][::3] + synthea()[::31]

    assert [each["id"] for each in resources if refusal(each, with_models=True)] == []
