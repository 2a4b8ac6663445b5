from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.structure import structure_issues
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json, encode
from tests.unit.fhir.real_input import examples, synthea


def found(**more: Any) -> list[tuple[str, str | None]]:
    return [(each.code, each.expression) for each in structure_issues({"resourceType": "Patient", **more})]


@pytest.mark.parametrize(
    ("more", "issue"),
    [
        ({"link": [{}]}, ("required", "Patient.link[0].other")),
        ({"Hilda": 1}, ("structure", "Patient")),
        ({"name": [{"Hilda": 1}]}, ("structure", "Patient.name[0]")),
        ({"contact": [None]}, ("structure", "Patient.contact")),
        ({"birthDate": "Hilda"}, ("value", "Patient.birthDate")),
        ({"deceasedDateTime": "Hilda"}, ("value", "Patient.deceased")),
        ({"contained": [{"resourceType": "Hilda"}]}, ("structure", "Patient")),
    ],
)
def test_what_the_models_refuse_is_said_in_fhirs_words_without_quoting(more: Json, issue: tuple[str, str]) -> None:
    assert issue in found(**more)
    assert not any("Hilda" in f"{each}" for each in structure_issues({"resourceType": "Patient", **more}))


def test_what_is_valid_in_r4_and_merely_missing_from_the_models_passes() -> None:
    meta = {"url": "urn:x", "valueMeta": {"versionId": "1"}}
    uuid = {"url": "urn:x", "valueUuid": "urn:uuid:c757873d-ec9a-1326-a141-556f43239520"}

    assert found(extension=[meta, uuid]) == []


def test_decimals_are_accepted() -> None:
    quantity = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}

    assert structure_issues(quantity | {"valueQuantity": {"value": Decimal("1.50")}}) == []


Place = tuple[Any, Any]
_OTHERS: list[Any] = [
    None, "", [], {}, "x", 5, Decimal("1.5"), True, [None], [[]], {"id": "a"}, ["x"], "2020-13-01", -1, 2**40, [{}],
    {"extension": [{"url": "urn:x", "valueString": "s"}]},
]  # fmt: skip
_NAMES = ["nope", "value", "valueString", "_id", "id", "extension", "status", "code", "fhir_comments", "_status"]


def _places(node: Any) -> Iterator[Place]:
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        if step != "resourceType":
            yield node, step
            yield from _places(inner)


def _spoil(resource: Json, pick: int, way: int, other: Any, name: str) -> None:
    places = list(_places(resource))
    holder, step = places[pick % len(places)]
    if way == 0:
        del holder[step]
    elif way == 1:
        holder[step] = deepcopy(other)
    elif way == 2:
        holder[step] = [holder[step]]
    elif way == 3 and isinstance(holder[step], list):
        holder[step] = holder[step][0] if holder[step] else None
    elif isinstance(holder, dict):
        holder[name] = deepcopy(other)


@cache
def _valid() -> list[Json]:
    few = (*list(examples().values())[::4], *synthea()[:40])
    return [each for each in few if len(encode(each)) < 6000 and each["resourceType"] != "Questionnaire"]


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 4), st.sampled_from(_OTHERS), st.sampled_from(_NAMES)
)
def test_the_definitions_refuse_whatever_the_models_refuse(
    which: int, pick: int, way: int, other: Any, name: str
) -> None:
    resources = _valid()
    resource = deepcopy(resources[which % len(resources)])
    _spoil(resource, pick, way, other, name)

    try:
        validate(resource)
    except UnprocessableError:
        return
    assert structure_issues(resource) == []
