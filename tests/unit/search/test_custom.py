"""A clinic's own search parameters: which take part, which do not and why, and what they leave as it was."""

import pytest

from fhir_server.kernel.json import Json
from fhir_server.search.custom import taken
from fhir_server.search.described import described
from fhir_server.search.language import Language
from fhir_server.search.parameters import Parameters
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.shipped import resources
from tests.unit.search.asking import BASE, finds, patient

EYES = "http://clinic.example/eye-colour"


def parameter(**changes: object) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": "eyes",
        "code": "eyes",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension('{EYES}').value",
        **changes,
    }


def test_what_is_shipped_is_understood_and_its_codes_are_taken() -> None:
    found = taken([parameter(base=["Media"], code="timepoint", expression="Media.extension('urn:x').value")])

    assert "Media has a parameter timepoint already" in found.problems["eyes"]
    for one in resources():
        assert all(one["code"] in STANDARD.of(type).by_code for type in one["base"])


def spoken(*parameters: Json) -> Language:
    return Language(BASE, registry=Registry(taken(parameters).definitions, number=2))


@pytest.mark.parametrize(
    ("changes", "value", "asked"),
    [
        ({}, {"valueCode": "green"}, "eyes=green"),
        ({}, {"valueCode": "green"}, "eyes:not=brown"),
        ({}, {"valueCodeableConcept": {"coding": [{"system": "urn:c", "code": "g"}]}}, "eyes=urn:c|g"),
        ({"type": "string"}, {"valueString": "Grün"}, "eyes=gru"),
        ({"type": "date"}, {"valueDate": "2020-02-02"}, "eyes=lt2020-03"),
        ({"type": "number"}, {"valueInteger": 7}, "eyes=ge6"),
        ({"type": "quantity"}, {"valueQuantity": {"value": 7, "code": "kg"}}, "eyes=gt6||kg"),
        ({"type": "uri"}, {"valueUri": "urn:x:y"}, "eyes=urn:x:y"),
        (
            {"type": "reference", "target": ["Practitioner"]},
            {"valueReference": {"reference": "Practitioner/p"}},
            "eyes=p",
        ),
    ],
)
def test_each_kind_is_searched_by_its_own_rules(changes: Json, value: Json, asked: str) -> None:
    language = spoken(parameter(**changes))

    assert finds(patient(extension=[{"url": EYES, **value}]), asked, language=language)
    assert not finds(patient(extension=[{"url": EYES, **value}]), "eyes:missing=true", language=language)
    assert finds(patient(), "eyes:missing=true", language=language)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "name"}, "Patient has a parameter name already"),
        ({"code": "_id"}, "no name for a parameter"),
        ({"code": "a:b"}, "no name for a parameter"),
        ({"type": "composite"}, "a composite has 2 to 6 components"),
        ({"type": "special"}, "parameters of type special"),
        ({"expression": None}, "no expression"),
        ({"base": ["Resource"]}, "names no type"),
        ({"base": ["Patient", "DomainResource"]}, "names no type"),
        ({"base": ["Nothing"]}, "names no type"),
        ({"type": "reference"}, "without a target"),
        ({"expression": "Patient.name.matches('a+')"}, "not understood"),
        ({"expression": "Patient.nothing"}, "not understood"),
        ({"type": "date", "expression": "Patient.gender"}, "leads to nothing"),
    ],
)
def test_what_cannot_take_part_says_why(changes: Json, reason: str) -> None:
    result = taken([parameter(**changes)])

    assert reason in result.problems["eyes"]
    assert not result.definitions


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["gender"] * 1400),
        "Patient" + ".name" * 1900,
        "Patient.name" + "[0]" * 3000,
        "(" * 900 + "Patient.gender",
    ],
    ids=["union", "path", "index", "brackets"],
)
def test_an_expression_made_to_exhaust_is_refused_and_not_followed(expression: str) -> None:
    assert taken([parameter(expression=expression)]).problems.keys() == {"eyes"}


def test_of_two_that_claim_a_code_the_same_one_wins_whatever_their_order() -> None:
    first, second = parameter(id="a"), parameter(id="b", expression="Patient.gender")

    for both in ((first, second), (second, first)):
        result = taken(both)
        assert result.problems.keys() == {"b"}
        assert result.definitions["Patient"]["eyes"].expression == first["expression"]


def test_what_r4_defines_is_indexed_as_before() -> None:
    """Also where a new parameter looks at the same place: it is served by the old one, never the other way round."""
    registry = spoken(parameter(code="a", expression="Patient.gender"), parameter(id="o")).registry
    before, after = STANDARD.of("Patient"), registry.of("Patient")

    def served(of: Parameters) -> dict[str, tuple[str, ...]]:
        return {code: of.by_code[code].indexed_as for code in before.by_code}

    assert served(after) == served(before)
    assert after.by_code["a"].indexed_as == ("gender",)
    assert registry.of("Observation") is STANDARD.of("Observation")


def test_it_is_described_like_any_other() -> None:
    registry = spoken(parameter(type="reference", target=["Practitioner"])).registry

    patients, practitioners = described("Patient", registry), described("Practitioner", registry)

    assert "eyes" in {each["name"] for each in patients["searchParam"]}
    assert "Patient:eyes" in patients["searchInclude"]
    assert "Patient:eyes" in practitioners["searchRevInclude"]
    assert "eyes" not in {each["name"] for each in described("Patient")["searchParam"]}
