"""A clinic's own composites: which are found by their components, which are refused and why."""

import pytest

from fhir_server.kernel.json import Json
from fhir_server.search.custom import ill_formed, taken
from fhir_server.search.described import described
from fhir_server.search.language import Language
from fhir_server.search.registry import Registry
from tests.unit.search.asking import BASE, finds, observation, patient

R4 = "http://hl7.org/fhir/SearchParameter"
IMPLANT = "http://clinic.example/implant"
SIDE, SIZE = "http://clinic.example/SearchParameter/side", "http://clinic.example/SearchParameter/size"


def part(definition: str, expression: str) -> Json:
    return {"definition": definition, "expression": expression}


def contact(**changes: object) -> Json:
    """Whom to call, by name and gender: both of the same contact."""
    return {
        "resourceType": "SearchParameter",
        "id": "telecom-use",
        "status": "active",
        "code": "measured-on",
        "base": ["Observation"],
        "type": "composite",
        "expression": "Observation",
        "component": [
            part(f"{R4}/clinical-code", "code"),
            part(f"{R4}/clinical-date|4.0.1", "effective.as(dateTime)"),
        ],
        **changes,
    }


def own(id: str, url: str, kind: str, inner: str) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": id,
        "url": url,
        "status": "active",
        "code": id,
        "base": ["Patient"],
        "type": kind,
        "expression": f"Patient.extension('{IMPLANT}').{inner}",
    }


OWN = (own("side", SIDE, "token", "extension('side').value"), own("size", SIZE, "number", "extension('size').value"))
IMPLANTS = contact(
    id="implant",
    code="implant",
    base=["Patient"],
    expression=f"Patient.extension('{IMPLANT}')",
    component=[part(SIDE, "extension('side').value"), part(SIZE, "extension('size').value")],
)


def spoken(*parameters: Json) -> Language:
    found = taken(parameters)
    assert not found.problems
    return Language(BASE, registry=Registry(found.definitions, number=2))


def implant(side: str, size: int) -> Json:
    return {
        "url": IMPLANT,
        "extension": [{"url": "side", "valueCode": side}, {"url": "size", "valueInteger": size}],
    }


def test_a_composite_of_r4s_own_parameters_asks_that_both_stand_together() -> None:
    language = spoken(contact())
    weight = observation(code={"coding": [{"code": "w"}]}, effectiveDateTime="2026-03-01")

    assert finds(weight, "measured-on=w$2026-03", language=language)
    assert finds(weight, "measured-on=x$2026,w$ge2026-03", language=language)
    assert not finds(weight, "measured-on=w$2025", language=language)
    assert finds(observation(), "measured-on:missing=true", language=language)


def test_a_composite_of_the_clinics_own_parameters_asks_that_both_stand_together() -> None:
    language = spoken(IMPLANTS, *OWN)  # in whichever order they are given
    person = patient(extension=[implant("left", 300), implant("right", 350)])

    assert finds(person, "implant=left$300", language=language)
    assert finds(person, "implant=right$gt320", language=language)
    assert finds(person, "side=left", "size=350", language=language)
    assert not finds(person, "implant=left$350", language=language)


def test_a_part_may_lie_in_any_of_several_places() -> None:
    language = spoken(
        contact(
            expression="Observation | Observation.component",
            component=[
                part(f"{R4}/Observation-combo-code", "code"),
                part(f"{R4}/Observation-combo-value-quantity", "value.as(Quantity)"),
            ],
        )
    )
    pressure = observation(component=[{"code": {"coding": [{"code": "s"}]}, "valueQuantity": {"value": 120}}])

    assert finds(pressure, "measured-on=s$120", language=language)
    assert not finds(pressure, "measured-on=s$121", language=language)


def test_a_composite_is_described_and_asked_for_in_the_right_form() -> None:
    language = spoken(contact())

    assert "measured-on" in {each["name"] for each in described("Observation", language.registry)["searchParam"]}
    with pytest.raises(Exception, match="has 2 parts"):
        finds(observation(), "measured-on=w", language=language)


@pytest.mark.parametrize(
    ("changes", "place", "reason"),
    [
        ({"expression": None}, "SearchParameter", "no expression"),
        ({"expression": "Observation." + "a" * 1000}, "SearchParameter.expression", "longer than"),
        ({"expression": "Observation.nothing"}, "SearchParameter.expression", "not understood"),
        ({"expression": "Patient.name"}, "SearchParameter.expression", "leads to nothing"),
        ({"component": None}, "SearchParameter.component", "2 to 6 components"),
        ({"component": [part(f"{R4}/clinical-code", "code")]}, "SearchParameter.component", "2 to 6"),
        ({"component": [part(f"{R4}/clinical-code", "code")] * 7}, "SearchParameter.component", "2 to 6"),
        (
            {"component": [part(f"{R4}/clinical-code", "code"), {"definition": f"{R4}/clinical-date"}]},
            "SearchParameter.component[1]",
            "no expression",
        ),
        (
            {"component": [part(f"{R4}/clinical-code", "nothing"), part(f"{R4}/clinical-date", "effective")]},
            "SearchParameter.component[0].expression",
            "not understood",
        ),
        (
            {"component": [part(f"{R4}/clinical-code", "Patient.name"), part(f"{R4}/clinical-date", "effective")]},
            "SearchParameter.component[0].expression",
            "leads to nothing",
        ),
        (
            {"component": [part(f"{R4}/clinical-code", "code"), part(f"{R4}/Patient-name", "effective")]},
            "SearchParameter.component[1].definition",
            "R4 has no parameter of this URL",
        ),
    ],
)
def test_an_ill_formed_composite_is_refused_at_the_element_that_is_wrong(
    changes: Json, place: str, reason: str
) -> None:
    composite = contact(**changes)
    fault = ill_formed(composite)

    assert fault is not None
    assert fault.place == place
    assert reason in str(fault)
    assert str(fault) == taken([composite]).problems["telecom-use"]
    assert ill_formed({**composite, "status": "draft"}) is None
    assert ill_formed({**composite, "type": "token"}) is None


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (part(f"{R4}/clinical-nothing", "code"), "component 0 names no parameter"),
        (part("urn:not-here", "code"), "component 0 names no parameter"),
        (part(f"{R4}/Observation-code-value-quantity", "code"), "that no composite has as a part"),
        (part(f"{R4}/clinical-code", "category"), "component 0 reads what the parameter code does not"),
        (part(f"{R4}/clinical-code", "component.code"), "component 0 reads what the parameter code does not"),
        (part(f"{R4}/clinical-code", "value.as(Quantity)"), "component 0 reads what the parameter code does not"),
        (part(f"{R4}/clinical-code", "%resource.code"), "component 0 reads what the parameter code does not"),
        (part(f"{R4}/clinical-code", "id.exists()"), "component 0 reads what the parameter code does not"),
    ],
)
def test_a_component_that_the_index_could_not_find_by_does_not_take_part(first: Json, reason: str) -> None:
    """Else a search by it would find too little, and look whole."""
    composite = contact(component=[first, part(f"{R4}/clinical-date", "effective")])

    assert ill_formed(composite) is None, "another parameter may be stored later"
    assert reason in taken([composite]).problems["telecom-use"]


def test_a_criterion_with_a_bar_in_it_is_not_taken_apart() -> None:
    """`Patient.name.family` stands in the text of the one, and is nothing that it reads."""
    trap = {**own("trap", SIDE, "string", "x"), "expression": "Patient.extension('q | Patient.name.family | r').value"}
    composite = contact(
        base=["Patient"], expression="Patient.name", component=[part(SIDE, "family"), part(SIDE, "family")]
    )

    assert "component 0 reads what" in taken([trap, composite]).problems["telecom-use"]


def test_without_the_parameters_that_it_is_made_of_it_does_not_take_part() -> None:
    assert "component 1 names no parameter" in taken([IMPLANTS, OWN[0]]).problems["implant"]
    assert "has a parameter implant already" in taken([IMPLANTS, {**IMPLANTS, "id": "j"}, *OWN]).problems["j"]
