"""FHIRPath Patch against a plain list, and its paths against the FHIRPath of search on published resources."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.engine.patch import fhirpath_patch
from fhir_server.engine.patch.limits import Effort, PatchError
from fhir_server.engine.patch.locations import locations, root_of
from fhir_server.fhir.definitions import search_parameters
from fhir_server.fhir.fhirpath import PathError, compile_path
from fhir_server.fhir.fhirpath.parser import parse
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.unit.engine.patch.test_fhirpath_patch import operation, parameters
from tests.unit.fhir.real_input import examples, synthea

Pair = tuple[str | None, Json | None]
SHADOWS: st.SearchStrategy[Json | None] = st.none() | st.sampled_from(
    [{"id": "1"}, {"extension": [{"url": "urn:x", "valueCode": "y"}]}]
)
PAIRS = st.tuples(st.none() | st.sampled_from("abc"), SHADOWS).filter(any)


def patient(pairs: list[Pair]) -> Json:
    """Its only name has these given names, written as FHIR's JSON has it."""
    name: Json = {"family": "x"}
    if any(value for value, _ in pairs):
        name["given"] = [value for value, _ in pairs]
    if any(shadow for _, shadow in pairs):
        name["_given"] = [shadow for _, shadow in pairs]
    return {"resourceType": "Patient", "name": [name]}


def written(pair: Pair) -> Json:
    value, shadow = pair
    return {**({"valueString": value} if value else {}), **({"_valueString": shadow} if shadow else {})}


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[Pair], list[Json], list[Pair] | None]:
    """Pairs, operations on them, and what is left by the rules of a plain list; None where one does not fit."""
    start = draw(st.lists(PAIRS, max_size=4))
    now, operations = list(start), []
    for _ in range(draw(st.integers(1, 5))):
        one, other, pair = draw(st.integers(0, 4)), draw(st.integers(0, 4)), draw(PAIRS)
        match draw(st.sampled_from(["add", "insert", "delete", "replace", "move"])):
            case "add":
                operations.append(operation("add", "Patient.name[0]", written(pair), name="given"))
                now.append(pair)
            case "insert":
                operations.append(operation("insert", "Patient.name.given", written(pair), index=one))
                if one > len(now):
                    return start, operations, None
                now.insert(one, pair)
            case "delete":
                operations.append(operation("delete", f"Patient.name.given[{one}]"))
                del now[one : one + 1]
            case "replace":
                operations.append(operation("replace", f"Patient.name.given[{one}]", written(pair)))
                if one >= len(now):
                    return start, operations, None
                now[one] = pair
            case _:
                operations.append(operation("move", "Patient.name.given", source=one, destination=other))
                if max(one, other) >= len(now):
                    return start, operations, None
                now.insert(other, now.pop(one))
    return start, operations, now


@settings(max_examples=300, deadline=None)
@given(changes())
def test_values_and_their_extensions_stay_together(drawn: tuple[list[Pair], list[Json], list[Pair] | None]) -> None:
    start, operations, expected = drawn
    resource = patient(start)

    try:
        found = fhirpath_patch(parameters(*operations))(resource)
    except UnprocessableError:
        found = None
        assert expected is None
    else:
        assert expected is not None
        assert (found or resource) == patient(expected)

    assert resource == patient(start)


def selected(resource: Json, expression: str) -> list[Any] | None:
    """What a patch's path leads to, primitives without a value left out; None where it is not understood."""
    try:
        found = locations(parse(expression), root_of(resource), Effort())
    except (PathError, PatchError):
        return None
    return [each.value for each in found if each.value is not None]


def test_a_path_leads_where_the_fhirpath_of_search_leads() -> None:
    compared = 0
    for resource in [*examples().values(), *synthea()[::40]]:
        for parameter in search_parameters(resource["resourceType"]).values():
            for alternative in parameter.expression.split(" | "):
                mine = selected(resource, alternative)
                if mine is None:
                    continue
                theirs = [value for _, value in compile_path(alternative, resource["resourceType"])(resource)]
                assert mine == theirs, alternative
                compared += bool(mine)

    assert compared > 500


def test_deleting_every_top_level_element_of_a_published_resource_leaves_it_bare() -> None:
    for resource in examples().values():
        type_name = resource["resourceType"]
        names = [name for name in resource if name not in {"resourceType", "id", "meta"}]
        for name in names:
            value = resource[name]
            if name.startswith("_") or f"_{name}" in resource or not isinstance(value, list):
                continue
            deletes = [operation("delete", f"{type_name}.{name}[0]")] * len(value)
            after = fhirpath_patch(parameters(*deletes))(resource)
            assert after == {key: each for key, each in resource.items() if key != name}
