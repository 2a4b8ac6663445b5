"""JSON Merge Patch against the examples of RFC 7396, appendix A, put into a resource."""

import copy
from typing import Any

import pytest

from fhir_server.engine.patch.merge_patch import merge_patch
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json

EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


def resource(members: Json) -> Json:
    return {"resourceType": "Basic", "id": "1", **members}


@pytest.mark.parametrize(("before", "patch", "after"), EXAMPLES)
def test_it_does_what_the_rfc_shows_and_leaves_what_it_was_given(before: Json, patch: Json, after: Json) -> None:
    given = resource(before)
    kept = copy.deepcopy(given)

    assert merge_patch(patch)(given) == resource(after)
    assert given == kept


@pytest.mark.parametrize("patch", [[], "x", None, 3, [{"op": "remove", "path": "/a"}]])
def test_what_is_no_object_is_no_merge_patch(patch: object) -> None:
    with pytest.raises(InvalidRequestError):
        merge_patch(patch)


@pytest.mark.parametrize("patch", [{"id": "2"}, {"id": None}, {"resourceType": "Patient"}, {"resourceType": None}])
def test_r_fhir_014_a_merge_patch_changes_neither_type_nor_id(patch: Json) -> None:
    with pytest.raises(UnprocessableError):
        merge_patch(patch)(resource({}))
