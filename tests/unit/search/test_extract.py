"""Values and keywords out of whole resources."""

from collections.abc import Iterator

import pytest

from fhir_server.fhir.definitions import search_parameters, served_types
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json, decode_part, encode
from fhir_server.search.extract import index_keywords, search_values, values_of
from fhir_server.search.kinds import KINDS
from fhir_server.search.match import elements_of
from fhir_server.search.registry import parameters_of
from fhir_server.search.sources import readable
from fhir_server.search.tree import Filter, Missing, Query
from fhir_server.search.types.reference import ReferenceValue
from fhir_server.search.types.token_values import TokenValue
from tests.unit.search.asking import observation, patient
from tests.unit.search.samples import of_type, published

ADA = patient(
    name=[{"family": "Berg", "given": ["Ada"]}],
    gender="female",
    birthDate="1980-05-01",
    identifier=[{"system": "urn:oid:1.2.3", "value": "AB-12"}],
    telecom=[{"system": "email", "value": "ada@b.example"}],
    deceasedBoolean=False,
)


def test_every_parameter_has_its_values() -> None:
    values = search_values(ADA)

    assert values["gender"] == (TokenValue("", "female", fixed=True),)
    assert {"name", "family", "given", "phonetic", "email", "telecom", "birthdate", "deceased", "identifier"} <= set(
        values
    )
    assert "phone" not in values, "what is not there is absent"


def test_the_values_of_some_parameters_are_those_of_all() -> None:
    assert values_of(ADA, ("gender", "birthdate", "phone")) == {
        code: values for code, values in search_values(ADA).items() if code in {"gender", "birthdate"}
    }


def test_the_elements_that_decide_are_enough_to_decide() -> None:
    """Of every published example, by each parameter: what else stands in it makes no difference."""
    for resource in published():
        raw, itself = encode(resource), {"resourceType": resource["resourceType"]}
        for code in parameters_of(resource["resourceType"]).by_code:
            elements = elements_of(asking_for(resource["resourceType"], code))
            if elements is not None:
                alone = values_of({**itself, **decode_part(raw, elements)}, (code,))
                assert alone == values_of(resource, (code,)), (resource["resourceType"], code)


def test_where_a_criterion_looks_elsewhere_the_whole_resource_decides() -> None:
    assert elements_of(asking_for("Patient", "name", "birthdate")) == frozenset({"name", "birthDate"})
    assert elements_of(asking_for("Patient")) == frozenset()
    assert elements_of(asking_for("Patient", "name", "email")) is None


def asking_for(type: str, *codes: str) -> Query:
    return Query(type, tuple(Filter(Missing(code, missing=False), (f"{code}:missing", "false")) for code in codes))


def test_a_reference_is_taken_apart() -> None:
    values = values_of(observation(subject={"reference": "https://x.example/Patient/7/_history/1"}), ("subject",))

    assert values["subject"] == (
        ReferenceValue("https://x.example/Patient/7/_history/1", "https://x.example", "Patient", "7"),
    )


def test_names_are_stored_once_for_all_the_parameters_that_look_for_them() -> None:
    stored = {parameter for parameter, _ in index_keywords(ADA)}

    assert stored == {
        f"Patient.{code}" for code in ("_type", "name", "gender", "birthdate", "identifier", "telecom", "deceased")
    }


def test_the_keywords_of_a_patient() -> None:
    keywords = index_keywords(ADA)

    assert {keyword for parameter, keyword in keywords if parameter == "Patient.name"} == {
        *("be", "ber", "berg", "=berg"),
        *("ad", "ada", "=ada"),
    }
    assert {keyword for parameter, keyword in keywords if parameter == "Patient.birthdate"} == {
        *("198", "1980", "1980-05", "1980-05-01"),
    }
    assert {keyword for parameter, keyword in keywords if parameter == "Patient.identifier"} == {
        "ab-12",
        "urn:oid:1.2.3|",
    }


def test_a_bare_resource_is_still_found_by_its_type() -> None:
    assert index_keywords({"resourceType": "Media"}) == {("Media._type", "")}


def test_the_address_is_not_stored_again() -> None:
    stored = index_keywords(observation(meta={"lastUpdated": "2024-05-01T09:26:53.589Z", "tag": [{"code": "t"}]}))

    assert {parameter for parameter, _ in stored} == {"Observation._type", "Observation._tag"}


def test_a_resource_with_too_many_values_is_refused() -> None:
    crowd = {"resourceType": "Group", "member": [{"entity": {"reference": f"Patient/{n}"}} for n in range(100_001)]}

    with pytest.raises(UnprocessableError):
        index_keywords(crowd)


def test_every_parameter_of_r4_but_the_special_ones_is_spoken() -> None:
    for type_name in served_types():
        spoken = parameters_of(type_name).by_code
        missing = {code for code, each in search_parameters(type_name).items() if code not in spoken}

        assert missing <= {"near"}, type_name
        assert all(each.sources or each.definition.code == "source-reference" for each in spoken.values())
        assert {each.kind.name for each in spoken.values()} <= set(KINDS)


def test_published_resources_cost_few_keywords() -> None:
    counted = {name: _average(of_type(name)) for name in ("Patient", "Observation", "Encounter")}

    assert counted["Patient"] < 60
    assert counted["Observation"] < 25
    assert counted["Encounter"] < 25


def _average(resources: tuple[Json, ...]) -> float:
    return sum(len(index_keywords(resource)) for resource in resources) / len(resources)


def test_published_resources_have_values_that_are_worth_searching() -> None:
    found = {(resource["resourceType"], code) for resource in published() for code in search_values(resource)}

    assert len(found) > 300


def test_values_that_share_keywords_have_them() -> None:
    """What one parameter leaves to another to store is stored there."""
    for resource, code, keywords in _keywords_of_values():
        serving = parameters_of(resource["resourceType"]).by_code[code].indexed_as
        stored = {
            keyword
            for parameter, keyword in index_keywords(resource)
            if parameter in {f"{resource['resourceType']}.{each}" for each in serving}
        }

        assert keywords <= stored, f"{resource['resourceType']}.{code}"


def _keywords_of_values() -> Iterator[tuple[Json, str, set[str]]]:
    for resource in published():
        for code, values in search_values(resource).items():
            yield resource, code, {keyword for value in values for keyword in value.keywords()}


def test_every_parameter_of_every_served_type_reads_something() -> None:
    """And so does each part of a composite: a parameter that nothing could ever match would look like one in order."""
    read = 0
    for type in served_types():
        for code, parameter in parameters_of(type).by_code.items():
            if code in {"_id", "_lastUpdated"}:
                continue
            assert parameter.sources, f"{type}.{code}"
            for lane in compile_path(parameter.definition.expression, type).lanes if parameter.components else ():
                for part, component in zip(parameter.definition.components, parameter.components, strict=True):
                    path = compile_path(part.expression, lane.type)
                    assert readable(component.kind, path), f"{type}.{code}: {part.code}"
            read += 1
        assert search_parameters(type).keys() <= parameters_of(type).by_code.keys()
    assert read > 2000
