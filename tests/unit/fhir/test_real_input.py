"""Validation against resources that others wrote."""

import pytest

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.known_failures import known_failures
from tests.unit.fhir.real_input import examples, guide, synthea

_BREAKS_A_RULE = 422


def refusal(resource: Json, *, with_models: bool = False) -> list[tuple[str, str | None]]:
    try:
        validate(resource, with_models=with_models)
    except UnprocessableError as error:
        return [(each.code, each.expression) for each in error.issues]
    return []


def test_every_resource_of_synthea_is_valid() -> None:
    assert [(each["id"], found) for each in synthea() if (found := refusal(each))] == []


@pytest.mark.parametrize("collection", ["hl7-r4-examples", "ihe-guides"])
def test_what_is_published_is_valid_but_for_what_is_known_to_break_a_rule(collection: str) -> None:
    """The profiles of IHE's guides are left out: they reached us without their prose, which R4 requires."""
    guides = {f"{each['resourceType']}/{each['id']}": each for each in [*guide("ihe-pcf"), *guide("ihe-balp")]}
    published = examples() if collection == "hl7-r4-examples" else guides
    whole = {name: each for name, each in published.items() if each["resourceType"] != "StructureDefinition"}

    broken = {name for name, one in known_failures(collection).items() if one.status == _BREAKS_A_RULE}
    assert {name for name, each in whole.items() if refusal(each)} == broken


def test_the_models_agree_on_what_is_valid() -> None:
    resources = [each for name, each in examples().items() if name not in known_failures("hl7-r4-examples")][
        ::3
    ] + synthea()[::31]

    assert [each["id"] for each in resources if refusal(each, with_models=True)] == []
