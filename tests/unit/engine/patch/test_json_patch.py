"""JSON Patch, operation by operation (RFC 6902 section 4, RFC 6901)."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.engine.patch import json_patch
from fhir_server.engine.patch.pointer import parse
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json, decode, encode

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "7",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-05T10:00:00.000Z"},
    "active": True,
    "name": [{"family": "Çelik", "given": ["Ada", "Mine"]}, {"text": "Ada"}],
    "multipleBirthInteger": 1,
}


def patched(*operations: Json, document: Json = PATIENT) -> Json:
    before = deepcopy(document)
    after = json_patch(list(operations))(document)

    assert document == before
    assert after is not None
    return after


def op(name: str, path: str, *value: Any, **more: Any) -> Json:
    return {"op": name, "path": path, **({"value": value[0]} if value else {}), **more}


def refusal(*operations: Json, document: Json = PATIENT) -> UnprocessableError:
    before = deepcopy(document)
    with pytest.raises(UnprocessableError) as caught:
        json_patch(list(operations))(document)
    assert document == before
    return caught.value


def test_add_sets_a_member_or_replaces_it() -> None:
    assert patched(op("add", "/gender", "female"))["gender"] == "female"
    assert patched(op("add", "/id", "7"), op("add", "/active", "x"))["active"] == "x"


def test_add_moves_the_rest_of_an_array_on() -> None:
    assert patched(op("add", "/name/0/given/1", "Su"))["name"][0]["given"] == ["Ada", "Su", "Mine"]
    assert patched(op("add", "/name/0/given/2", "Su"))["name"][0]["given"] == ["Ada", "Mine", "Su"]
    assert patched(op("add", "/name/0/given/-", "Su"))["name"][0]["given"] == ["Ada", "Mine", "Su"]
    assert patched(op("add", "/name/0/given/-", ["Su"]))["name"][0]["given"][-1] == ["Su"]


def test_remove_takes_a_member_away() -> None:
    assert "active" not in patched(op("remove", "/active"))
    assert patched(op("remove", "/name/0/given/0"))["name"][0]["given"] == ["Mine"]


def test_replace_keeps_the_place_of_a_member() -> None:
    after = patched(op("replace", "/active", None))

    assert list(after) == list(PATIENT)
    assert after["active"] is None
    assert patched(op("replace", "/name/1", {"text": "x"}))["name"][1] == {"text": "x"}


def test_move_takes_from_one_place_and_adds_at_the_other() -> None:
    after = patched(op("move", "/name/0/given/0", **{"from": "/name/0/given/1"}))
    assert after["name"][0]["given"] == ["Mine", "Ada"]

    after = patched(op("move", "/name/1/family", **{"from": "/name/0/family"}))
    assert after["name"] == [{"given": ["Ada", "Mine"]}, {"text": "Ada", "family": "Çelik"}]


def test_moving_to_the_same_place_changes_nothing() -> None:
    assert json_patch([op("move", "/name/0", **{"from": "/name/0"})])(PATIENT) is None


def test_what_was_copied_is_apart_from_its_source() -> None:
    after = patched(
        op("copy", "/name/-", **{"from": "/name/0"}),
        op("replace", "/name/2/given/0", "Su"),
        op("remove", "/name/0/family"),
    )

    assert after["name"][0] == {"given": ["Ada", "Mine"]}
    assert after["name"][2] == {"family": "Çelik", "given": ["Su", "Mine"]}


def test_a_patch_can_be_applied_twice_and_keeps_its_own_values() -> None:
    edit = json_patch([op("add", "/contact", [{"name": {"text": "Ali"}}]), op("add", "/contact/0/gender", "male")])

    first, second = edit(PATIENT), edit(PATIENT)

    assert first == second
    assert first is not None
    assert first["contact"] == [{"name": {"text": "Ali"}, "gender": "male"}]


@pytest.mark.parametrize(
    ("stored", "tested"),
    [
        (b"1", b"1.0"),
        (b"1.0", b"1"),
        (b"1.50", b"15e-1"),
        (b"0", b"-0.0"),
        (b'{"a":[1],"b":null}', b'{"b":null,"a":[1.0]}'),
        (b'"\\u00e7"', '"ç"'.encode()),
        (b"12345678901234567890.1", b"12345678901234567890.10"),
    ],
)
def test_a_test_compares_values_and_not_their_spelling(stored: bytes, tested: bytes) -> None:
    document = {"resourceType": "Basic", "x": decode(stored)}

    assert json_patch([op("test", "/x", decode(tested))])(document) is None


@pytest.mark.parametrize(
    ("stored", "tested"),
    [
        (b"1", b"true"),
        (b"0", b"false"),
        (b"1.0", b'"1.0"'),
        (b"[1,2]", b"[2,1]"),
        (b"[1]", b"[1,1]"),
        (b'{"a":1}', b'{"a":1,"b":null}'),
        (b"null", b"false"),
        (b'"e\\u0301"', '"é"'.encode()),
        (b"0.1", b"0.10000000000000001"),
    ],
)
def test_r_fhir_014_a_failed_test_is_422(stored: bytes, tested: bytes) -> None:
    document = {"resourceType": "Basic", "x": decode(stored)}

    refused = refusal(op("add", "/y", 1), op("test", "/x", decode(tested)), document=document)

    assert refused.status == 422
    assert refused.issues[0].diagnostics == "Operation 1, counted from 0: the test failed."


def test_r_fhir_014_only_tests_that_hold_change_nothing() -> None:
    assert json_patch([])(PATIENT) is None
    assert (
        json_patch([op("test", "/meta/versionId", "3"), op("test", "/name/0/given", ["Ada", "Mine"])])(PATIENT) is None
    )


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", "/gender"),
        op("remove", "/name/2"),
        op("remove", "/name/-"),
        op("remove", "/name/00"),
        op("remove", "/name/+1"),
        op("remove", "/name/1e0"),
        op("remove", "/name/-1"),
        op("remove", "/name/\N{ARABIC-INDIC DIGIT ONE}"),
        op("remove", "/name/99999999999999999999"),
        op("remove", ""),
        op("replace", "/gender", "x"),
        op("replace", "/name/-", {}),
        op("add", "/name/3", {}),
        op("add", "/contact/0", {}),
        op("add", "/active/x", 1),
        op("add", "/id/0", "x"),
        op("test", "/gender", None),
        op("test", "/name/length", 2),
        op("test", "/id/0", "7"),
        op("copy", "/x", **{"from": "/gender"}),
        op("move", "/x", **{"from": "/gender"}),
    ],
)
def test_r_fhir_014_a_pointer_to_nothing_is_422(operation: Json) -> None:
    refused = refusal(op("test", "/id", "7"), operation)

    assert refused.status == 422
    assert refused.issues[0].diagnostics.startswith("Operation 1, counted from 0: ")


def test_escapes_in_a_pointer_name_any_key() -> None:
    document: Json = {"resourceType": "Basic", "": 1, "a/b": 2, "m~n": 3, "~1": 4, 'k"l': 5, " ": 6}

    for pointer, key in (("/", ""), ("/a~1b", "a/b"), ("/m~0n", "m~n"), ("/~01", "~1"), ('/k"l', 'k"l'), ("/ ", " ")):
        assert key not in patched(op("remove", pointer), document=document)
    assert parse("") == ()
    assert parse("/") == ("",)
    assert parse("/a//b") == ("a", "", "b")


def test_members_that_an_operation_does_not_define_are_ignored() -> None:
    assert patched(op("add", "/gender", "female", xyz=123, **{"from": 5}))["gender"] == "female"


@pytest.mark.parametrize(
    "document",
    [
        {"op": "remove", "path": "/active"},
        None,
        "x",
        ["x"],
        [[]],
        [{}],
        [{"op": "spam", "path": "/active"}],
        [{"op": ["add"], "path": "/active", "value": 1}],
        [{"op": "Remove", "path": "/active"}],
        [{"op": "remove"}],
        [{"op": "remove", "path": None}],
        [{"op": "remove", "path": "active"}],
        [{"op": "remove", "path": "#/active"}],
        [{"op": "remove", "path": "/a~2"}],
        [{"op": "remove", "path": "/a~"}],
        [{"op": "add", "path": "/active"}],
        [{"op": "replace", "path": "/active"}],
        [{"op": "test", "path": "/active"}],
        [{"op": "copy", "path": "/active"}],
        [{"op": "move", "path": "/name/0/given", "from": "/name"}],
        [{"op": "move", "path": "/x", "from": ""}],
    ],
)
def test_r_fhir_014_what_is_no_json_patch_is_400(document: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        json_patch(document)

    assert caught.value.status == 400


def test_the_malformed_operation_is_named_before_any_is_applied() -> None:
    with pytest.raises(InvalidRequestError, match="Operation 1, counted from 0"):
        json_patch([op("test", "/id", "another"), {"op": "add", "path": "/x"}])


@pytest.mark.parametrize("value", [[], "x", None, 1])
def test_the_whole_resource_becomes_nothing_but_a_resource(value: Any) -> None:
    assert refusal(op("replace", "", value)).status == 422
    assert refusal(op("add", "", value)).status == 422


def test_the_whole_resource_can_be_replaced_by_another_version_of_itself() -> None:
    value = {"resourceType": "Patient", "id": "7", "gender": "other"}

    assert patched(op("replace", "", value)) == value
    assert patched(op("add", "", value)) == value


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "/id", "8"),
        op("remove", "/id"),
        op("replace", "/resourceType", "Person"),
        op("remove", "/resourceType"),
        op("replace", "/meta/versionId", "4"),
        op("add", "/meta/lastUpdated", "2020-01-01T00:00:00Z"),
        op("move", "/id", **{"from": "/name/1/text"}),
        op("add", "", {"resourceType": "Patient", "id": "8"}),
    ],
)
def test_r_fhir_014_a_patch_changes_neither_type_nor_id_nor_version(operation: Json) -> None:
    assert refusal(operation).issues[0].expression in {"id", "resourceType", "meta.versionId", "meta.lastUpdated"}


def test_meta_may_be_patched_and_what_the_server_gives_left_out() -> None:
    tag = {"system": "urn:x", "code": "y"}

    assert patched(op("add", "/meta/tag", [tag]))["meta"]["tag"] == [tag]
    assert patched(op("replace", "/meta", {"tag": [tag]}))["meta"] == {"tag": [tag]}
    assert "meta" not in patched(op("remove", "/meta"))


def test_r_fhir_025_a_decimal_keeps_the_digits_that_the_patch_has() -> None:
    operation = decode(b'{"op":"add","path":"/valueQuantity","value":{"value":1.500}}')
    after = patched(operation, document={"resourceType": "Observation"})

    assert after["valueQuantity"]["value"] == Decimal("1.500")
    assert encode(after).endswith(b'{"value":1.500}}')


def test_an_array_left_empty_is_for_validation_to_refuse() -> None:
    after = patched(op("remove", "/name/0"), op("remove", "/name/0"))

    assert after["name"] == []
    with pytest.raises(UnprocessableError):
        validate(after)


def test_no_refusal_quotes_the_resource_or_the_patch() -> None:
    document = {"resourceType": "Patient", "id": "7", "name": [{"family": "Hilda"}]}

    for operation in (op("test", "/name/0/family", "Hilda2"), op("remove", "/Hilda"), op("add", "/name/Hilda", 1)):
        assert "Hilda" not in str(refusal(operation, document=document).issues)
