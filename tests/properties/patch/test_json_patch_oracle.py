"""JSON Patch against a plain one that copies everything first and then changes it in place."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.engine.patch import json_patch
from fhir_server.kernel.errors import TooLargeError, UnprocessableError
from fhir_server.kernel.json import Json, encode

KEYS = st.sampled_from(["a", "b", "a/b", "m~n", "", "0", "-"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([Decimal("1.0"), Decimal("1.00"), "x"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4).map(lambda each: {**each, "resourceType": "Basic"})


class RefusedError(Exception):
    """The oracle's word for anything that does not fit."""


def plain(document: Any, operations: list[Json]) -> Any:
    document = deepcopy(document)
    for each in operations:
        document = step(document, each)
    return document


def step(document: Any, each: Json) -> Any:
    match each["op"]:
        case "test":
            if not alike(look(document, tokens(each["path"])), each["value"]):
                raise RefusedError
            return document
        case "remove":
            return remove(document, tokens(each["path"]))
        case "add":
            return add(document, tokens(each["path"]), deepcopy(each["value"]))
        case "replace":
            look(document, tokens(each["path"]))
            if each["path"]:
                document = remove(document, tokens(each["path"]))
            return add(document, tokens(each["path"]), deepcopy(each["value"]))
        case "copy":
            return add(document, tokens(each["path"]), deepcopy(look(document, tokens(each["from"]))))
        case _:
            value = look(document, tokens(each["from"]))
            return add(remove(document, tokens(each["from"])), tokens(each["path"]), value)


def tokens(pointer: str) -> list[str]:
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


def place(holder: Any, token: str, *, beyond: int = 0) -> Any:
    if isinstance(holder, dict):
        return token
    if not isinstance(holder, list) or not (token.isdigit() and str(int(token)) == token):
        raise RefusedError
    if int(token) >= len(holder) + beyond:
        raise RefusedError
    return int(token)


def look(document: Any, path: list[str]) -> Any:
    for token in path:
        key = place(document, token)
        if isinstance(document, dict) and key not in document:
            raise RefusedError
        document = document[key]
    return document


def add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder = look(document, path[:-1])
    if isinstance(holder, list):
        holder.insert(len(holder) if path[-1] == "-" else place(holder, path[-1], beyond=1), value)
    else:
        holder[place(holder, path[-1])] = value
    return document


def remove(document: Any, path: list[str]) -> Any:
    look(document, path)
    if not path:
        raise RefusedError
    holder = look(document, path[:-1])
    del holder[place(holder, path[-1])]
    return document


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return sorted(one) == sorted(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def sorted_encoding(value: Any) -> Any:
    """Comparable whatever the order of keys, digits of decimals included."""
    if isinstance(value, dict):
        return sorted((key, sorted_encoding(inner)) for key, inner in value.items())
    return [sorted_encoding(inner) for inner in value] if isinstance(value, list) else encode(value)


def pointers(node: Any, above: str = "") -> list[str]:
    found = [above]
    if isinstance(node, dict):
        for key, inner in node.items():
            found += pointers(inner, f"{above}/{key.replace('~', '~0').replace('/', '~1')}")
    if isinstance(node, list):
        for index, inner in enumerate(node):
            found += pointers(inner, f"{above}/{index}")
        found.append(f"{above}/{len(node)}")
        found.append(f"{above}/-")
    return found


@st.composite
def patches(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """Operations that mostly fit: each is drawn on the document as the oracle has it by then."""
    document: Any = draw(DOCUMENTS)
    state, operations = deepcopy(document), []
    for _ in range(draw(st.integers(1, 6))):
        known = st.sampled_from(pointers(state))
        path = draw(known | known | st.sampled_from(["/c", "/a/c", "/a/0/b", "/b/01"]))
        each: Json = {"op": draw(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])), "path": path}
        if each["op"] in {"move", "copy"}:
            each["from"] = draw(known)
            if each["op"] == "move" and f"{path}/".startswith(f"{each['from']}/"):
                continue  # refused as malformed, or nothing
        elif each["op"] != "remove":
            each["value"] = draw(VALUES)
            if each["op"] == "test" and draw(st.booleans()):
                each["value"] = deepcopy(state.get("a")) if isinstance(state, dict) else state
        operations.append(each)
        try:
            state = step(state, each)
        except RefusedError:
            break
    return document, operations


@settings(max_examples=400, deadline=None)
@given(patches())
def test_what_comes_out_is_what_the_plain_one_makes(drawn: tuple[Json, list[Json]]) -> None:
    document, operations = drawn
    before, asked = encode(document), encode(operations)
    try:
        expected = plain(document, operations)
    except RefusedError:
        expected = None
    if not isinstance(expected, dict) or expected.get("resourceType") != "Basic":
        expected = None

    try:
        found = json_patch(operations)(document)
        after = document if found is None else found
    except (UnprocessableError, TooLargeError):
        after = None

    assert encode(document) == before
    assert encode(operations) == asked
    assert sorted_encoding(after) == sorted_encoding(expected)
