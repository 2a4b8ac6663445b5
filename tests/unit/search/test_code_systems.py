"""What a CodeSystem says lies under and above a code; and what is no hierarchy."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.search.code_systems import MOST_CONCEPTS, CodeSystem

BODY: list[Json] = [
    {
        "code": "Body",
        "concept": [{"code": "Face", "concept": [{"code": "lip"}, {"code": "cheek"}]}, {"code": "trunk"}],
    },
    {"code": "scar", "property": [{"code": "parent", "valueCode": "lip"}, {"code": "parent", "valueCode": "trunk"}]},
    {"code": "limb", "property": [{"code": "holds", "valueCode": "arm"}, {"code": "note", "valueCode": "lip"}]},
    {"code": "arm", "property": [{"code": "weight", "valueDecimal": 3}]},
]
HOLDS = [{"code": "holds", "uri": "http://hl7.org/fhir/concept-properties#child", "type": "code"}]


@contextmanager
def refused(told: str) -> Iterator[None]:
    with pytest.raises(InvalidRequestError) as failure:
        yield
    assert told in failure.value.issues[0].diagnostics


def code_system(concepts: list[Json], **elements: object) -> CodeSystem:
    stated = {"url": "urn:s", "content": "complete", "hierarchyMeaning": "is-a", "property": HOLDS, **elements}
    return CodeSystem.of({"resourceType": "CodeSystem", "concept": concepts, **stated})


@pytest.mark.parametrize(
    ("code", "below", "above"),
    [
        ("body", {"body", "face", "lip", "cheek", "trunk", "scar"}, {"body"}),
        ("FACE", {"face", "lip", "cheek", "scar"}, {"face", "body"}),
        ("scar", {"scar"}, {"scar", "lip", "trunk", "face", "body"}),
        ("limb", {"limb", "arm"}, {"limb"}),
        ("arm", {"arm"}, {"arm", "limb"}),
    ],
)
def test_concepts_lie_within_each_other_and_name_parents_and_children(
    code: str, below: set[str], above: set[str]
) -> None:
    found = code_system(BODY)

    assert found.below(code) == below
    assert found.above(code) == above


@pytest.mark.parametrize(
    ("operator", "value", "selected"),
    [
        ("is-a", "Face", {"face", "lip", "cheek", "scar"}),
        ("descendent-of", "Face", {"lip", "cheek", "scar"}),
        ("is-not-a", "Body", {"limb", "arm"}),
        ("generalizes", "lip", {"lip", "face", "body"}),
        ("=", "Lip", {"lip"}),
    ],
)
def test_a_filter_on_the_concept_selects(operator: str, value: str, selected: set[str]) -> None:
    assert code_system(BODY).filtered("concept", operator, value) == selected
    assert code_system(BODY).filtered("code", operator, value) == selected


@pytest.mark.parametrize(
    ("property", "operator"), [("weight", "="), ("concept", "regex"), ("concept", "exists"), ("concept", "in")]
)
def test_a_filter_on_anything_else_is_refused(property: str, operator: str) -> None:
    with refused("A filter of the ValueSet"):
        code_system(BODY).filtered(property, operator, "lip")


@pytest.mark.parametrize("content", ["not-present", "example", "fragment", "supplement"])
def test_a_code_system_without_all_of_its_codes_tells_nothing(content: str) -> None:
    with refused("not complete"):
        code_system(BODY, content=content)


@pytest.mark.parametrize("meaning", ["part-of", "grouped-by", "classified-with", ""])
def test_a_hierarchy_that_does_not_mean_is_a_subsumes_nothing(meaning: str) -> None:
    with refused("hierarchyMeaning"):
        code_system(BODY, hierarchyMeaning=meaning).below("lip")


def test_in_a_flat_code_system_a_code_is_alone_whatever_is_said_of_the_hierarchy() -> None:
    assert code_system([{"code": "a"}, {"code": "b"}], hierarchyMeaning="").below("a") == {"a"}


def test_a_code_that_is_not_there_is_refused_and_not_an_empty_answer() -> None:
    for asked in (code_system(BODY).below, code_system(BODY).above):
        with refused("does not have the code"):
            asked("nose")


@pytest.mark.parametrize(
    "concepts",
    [
        [{"code": "a", "property": [{"code": "parent", "valueCode": "a"}]}],
        [
            {"code": "a", "property": [{"code": "parent", "valueCode": "b"}], "concept": [{"code": "b"}]},
            {"code": "c", "concept": [{"code": "d"}]},
        ],
    ],
)
def test_a_hierarchy_in_a_circle_is_refused(concepts: list[Json]) -> None:
    for code in ("a", concepts[-1]["code"]):
        with refused("circle"):
            code_system(concepts).below(code)


def test_a_code_system_of_too_many_concepts_is_refused() -> None:
    concepts: list[Json] = [{"code": str(number)} for number in range(MOST_CONCEPTS + 1)]

    assert code_system(concepts[1:]).below("1") == {"1"}
    with pytest.raises(TooCostlyError):
        code_system(concepts)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=14))
def test_any_hierarchy_is_followed_to_its_ends(pairs: list[tuple[int, int]]) -> None:
    """The numbers of parents are the smaller ones, so that there is no circle."""
    edges = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    concepts = [
        {
            "code": str(n),
            "property": [{"code": "parent", "valueCode": str(up)} for up, low in sorted(edges) if low == n],
        }
        for n in range(10)
    ]
    reached = {(n, n) for n in range(10)} | edges
    for middle in range(10):
        reached |= {(up, low) for up, one in reached for other, low in reached if one == middle == other}

    found = code_system(concepts)

    for n in range(10):
        assert found.below(str(n)) == {str(low) for up, low in reached if up == n}
        assert found.above(str(n)) == {str(up) for up, low in reached if low == n}
