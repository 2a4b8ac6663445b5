"""R4 search, uri and composite."""

import pytest

from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.fhir.fhirpath.lane import the_root
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.registry import parameters_of
from tests.unit.search.asking import finds, observation, patient

PRESSURE = observation(
    component=[
        {"code": {"coding": [{"code": "8480-6"}]}, "valueQuantity": {"value": 130, "code": "mm[Hg]"}},
        {"code": {"coding": [{"code": "8462-4"}]}, "valueQuantity": {"value": 85, "code": "mm[Hg]"}},
    ]
)


def test_r_fhir_054_a_profile_is_found_with_or_without_its_version() -> None:
    ada = patient(meta={"profile": ["http://x.example/P|1.0"], "source": "urn:app:1"})

    assert finds(ada, "_profile=http://x.example/P", "_profile=http://x.example/P|1.0", "_source=urn:app:1")
    assert not finds(ada, "_profile=http://x.example/P|2.0")
    assert not finds(ada, "_profile=http://x.example/p"), "URIs are compared letter by letter"
    assert not finds(ada, "_profile=http://x.example/")


VALUE_SET = {"resourceType": "ValueSet", "id": "v", "url": "http://acme.example/fhir/ValueSet/123"}


@pytest.mark.parametrize(
    "uri", ["http://acme.example/fhir/ValueSet/123", "http://acme.example/fhir/", "http://acme.example"]
)
def test_r_fhir_044_below_a_uri_lies_what_goes_on_from_it(uri: str) -> None:
    assert finds(VALUE_SET, f"url:below={uri}")


@pytest.mark.parametrize(
    "uri", ["http://acme.example/fh", "http://acme.example/fhir/ValueSet/123/4", "http://other.example", "urn:x"]
)
def test_below_ends_at_a_slash(uri: str) -> None:
    assert not finds(VALUE_SET, f"url:below={uri}")


def test_r_fhir_044_above_a_uri_lies_what_it_goes_on_from() -> None:
    assert finds(VALUE_SET, "url:above=http://acme.example/fhir/ValueSet/123/_history/5")
    assert finds(VALUE_SET, "url:above=http://acme.example/fhir/ValueSet/123")
    assert finds({**VALUE_SET, "url": "http://acme.example/fhir/"}, "url:above=http://acme.example/fhir/ValueSet/123")
    assert not finds(VALUE_SET, "url:above=http://acme.example/fhir/ValueSet/1234")
    assert not finds(VALUE_SET, "url:above=http://acme.example/fhir")


def test_profiles_have_a_place_too() -> None:
    ada = patient(meta={"profile": ["http://x.example/P/q|1.0"], "source": "https://app.example/a/b/c/d/e/f/g/h/i/j#7"})

    assert finds(ada, "_profile:below=http://x.example/P", "_source:below=https://app.example/a")
    assert finds(ada, "_source:below=https://app.example/a/b/c/d/e/f/g/h/i/")
    assert not finds(ada, "_source:below=https://app.example/a/b/c/d/e/f/g/h/j")


def test_r_fhir_044_a_version_lies_below_a_shorter_one() -> None:
    def answers(version: str) -> dict[str, str]:
        return {"resourceType": "QuestionnaireResponse", "id": "r", "questionnaire": f"http://x.example/Q{version}"}

    assert finds(answers("|1.2.1"), "questionnaire:below=http://x.example/Q|1.2", "questionnaire=http://x.example/Q")
    assert finds(answers("|1.2"), "questionnaire:below=http://x.example/Q|1.2")
    assert not finds(answers("|1.20"), "questionnaire:below=http://x.example/Q|1.2")
    assert finds(answers("|1"), "questionnaire:above=http://x.example/Q|1.2")
    assert not finds(answers(""), "questionnaire:above=http://x.example/Q|1.2")


def test_an_empty_uri_is_no_value() -> None:
    assert finds(patient(meta={"profile": [" ", 7]}), "_profile:missing=true")


def test_what_belongs_together_is_found_together() -> None:
    assert finds(PRESSURE, "component-code-value-quantity=8480-6$gt120")
    assert finds(PRESSURE, "combo-code-value-quantity=8462-4$85||mm[Hg]")
    assert not finds(PRESSURE, "component-code-value-quantity=8480-6$85"), "both are there, not together"
    assert not finds(PRESSURE, "code-value-quantity=8480-6$gt120"), "the parameter speaks of the whole observation"


def test_the_value_of_an_observation_itself() -> None:
    stored = observation(code={"coding": [{"code": "a$b"}]}, valueDateTime="2024-05-01")

    assert finds(stored, r"code-value-date=a\$b$ge2024")
    assert not finds(stored, r"code-value-date=a\$b$lt2024")
    assert finds(observation(code={"coding": [{"code": "x"}]}, valueString="Été"), "code-value-string=x$ete")


def test_a_part_may_come_from_the_whole_resource() -> None:
    sequence = {
        "resourceType": "MolecularSequence",
        "id": "m",
        "referenceSeq": {"chromosome": {"coding": [{"code": "X"}]}},
        "variant": [{"start": 3, "end": 5}, {"start": 9, "end": 12}],
    }

    assert finds(sequence, "chromosome-variant-coordinate=X$9$12")
    assert not finds(sequence, "chromosome-variant-coordinate=X$3$12")


@pytest.mark.parametrize("value", ["8480-6", "8480-6$", "$gt120", "8480-6$gt120$x", "8480-6$many"])
def test_a_composite_has_all_its_parts(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        finds(PRESSURE, f"component-code-value-quantity={value}")


def test_the_parts_of_every_composite_lie_where_their_own_parameters_look() -> None:
    """Composites have no keywords of their own: this is what makes those of the parts necessary."""
    for type_name in served_types():
        for code, composite in parameters_of(type_name).by_code.items():
            for component, part in zip(composite.components, composite.definition.components, strict=True):
                own = {lane.names for lane in compile_path(component.definition.expression, type_name).lanes}
                for whole in compile_path(composite.definition.expression, type_name).lanes:
                    for lane in compile_path(part.expression, whole.type).lanes:
                        readable = component.kind.reader(lane.type, lane.owner)
                        names = lane.names if lane.steps[0] is the_root else (*whole.names, *lane.names)
                        assert readable is None or names in own, f"{type_name}.{code}"
