"""Small patches that would grow, nest or toil without end; each is refused, and soon."""

import time
from collections.abc import Iterator

import pytest

from fhir_server.engine.patch import fhirpath_patch, json_patch
from fhir_server.kernel.errors import FhirError, InvalidRequestError, TooCostlyError, TooLargeError, UnprocessableError
from fhir_server.kernel.json import Json
from tests.unit.engine.patch.test_fhirpath_patch import operation, parameters

SMALL: Json = {"resourceType": "Patient", "id": "7", "name": [{"given": ["a"]}]}
LONG: Json = {"resourceType": "Patient", "id": "7", "name": [{"given": ["a"] * 300_000}]}


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Far more than it takes, far less than what an attacker hopes for."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 5


def test_a_thousand_operations_are_taken_and_no_more() -> None:
    replace = {"op": "replace", "path": "/name/0/given/0", "value": "b"}
    delete = operation("delete", "Patient.photo")

    assert json_patch([replace] * 1000)(SMALL) is not None
    assert fhirpath_patch(parameters(*[delete] * 1000))(SMALL) is None
    with pytest.raises(InvalidRequestError):
        json_patch([replace] * 1001)
    with pytest.raises(InvalidRequestError):
        fhirpath_patch(parameters(*[delete] * 1001))


@pytest.mark.parametrize("doubles", [("/name", "/name/-"), ("", "/name/-"), ("/name/0", "/name/0/given/-")])
def test_a_copy_bomb_is_refused(doubles: tuple[str, str]) -> None:
    source, target = doubles

    with pytest.raises((TooLargeError, UnprocessableError)):
        json_patch([{"op": "copy", "from": source, "path": target}] * 1000)(SMALL)


def test_copying_one_large_value_over_and_over_is_refused() -> None:
    resource = {**SMALL, "text": {"div": "x" * 300_000}}

    with pytest.raises(TooLargeError):
        json_patch([{"op": "copy", "from": "/text", "path": "/name/-"}] * 4)(resource)
    assert json_patch([{"op": "copy", "from": "/text", "path": "/name/-"}] * 3)(resource) is not None


def test_nesting_by_copies_and_moves_is_refused() -> None:
    copies = [{"op": "copy", "from": "/name/0", "path": "/name/0/given/0"}] * 17
    down = "/x" * 40
    adds = [{"op": "add", "path": "/x" * depth, "value": {}} for depth in range(1, 41)]
    deep = [*adds, {"op": "move", "from": "/name", "path": f"{down}/x"}]
    deeper = [*deep, *({"op": "add", "path": down + "/y" * depth, "value": {}} for depth in range(1, 25))]
    nested = {"resourceType": "Patient", "x": {"y": {}}}
    for _ in range(100):
        nested = {"resourceType": "Patient", "x": nested}

    assert json_patch(deep)(SMALL) is not None
    for patch in (deeper, [{"op": "add", "path": "/x", "value": nested}], copies * 50):
        with pytest.raises((UnprocessableError, TooLargeError)):
            json_patch(patch)(SMALL)


def test_a_path_that_nests_with_every_operation_is_refused() -> None:
    part = {"part": [{"name": "url", "valueUri": "u"}]}
    operations = [operation("add", "Patient" + ".extension[0]" * depth, part, name="extension") for depth in range(100)]

    with pytest.raises(UnprocessableError):
        fhirpath_patch(parameters(*operations))(SMALL)


def test_a_pointer_or_a_path_without_end_is_refused() -> None:
    for pointer in ("/a" * 65, "/" + "a" * 3000):
        with pytest.raises(InvalidRequestError):
            json_patch([{"op": "remove", "path": pointer}])
    for path in ("a." * 1000 + "a", "(" * 1000, "Patient" + ".name" * 5000, "a and " * 2000 + "a"):
        with pytest.raises(InvalidRequestError):
            fhirpath_patch(parameters(operation("delete", path)))


def test_long_criteria_are_followed_without_going_deep() -> None:
    criterion = " and ".join(["use='x'"] * 150)
    edit = fhirpath_patch(parameters(operation("delete", f"Patient.name.where({criterion})")))

    assert edit(SMALL) is None


@pytest.mark.parametrize("op", ["add", "remove", "replace", "copy"])
def test_toiling_on_a_long_array_is_refused(op: str) -> None:
    each = {"op": op, "path": "/name/0/given/0", "value": "b", "from": "/name/0/given/1"}

    with pytest.raises(TooCostlyError):
        json_patch([each] * 1000)(LONG)


@pytest.mark.parametrize(
    "each",
    [
        operation("delete", "Patient.name.given[0]"),
        operation("add", "Patient.name", {"valueString": "b"}, name="given"),
        operation("move", "Patient.name.given", source=0, destination=1),
        operation("delete", "Patient.name.where(given.first() = 'x')"),
    ],
)
def test_toiling_on_a_long_list_is_refused(each: Json) -> None:
    with pytest.raises(TooCostlyError):
        fhirpath_patch(parameters(*[each] * 1000))(LONG)


def test_comparing_deep_values_does_not_go_deeper_than_the_patch() -> None:
    resource: Json = {"resourceType": "Basic"}
    for _ in range(5000):
        resource = {"resourceType": "Basic", "x": resource}

    with pytest.raises(UnprocessableError):
        json_patch([{"op": "test", "path": "/x", "value": {"x": {"x": 1}}}])(resource)


@pytest.mark.parametrize("key", ["__proto__", "constructor", "__class__", "$where", "a.b", "\x00"])
def test_a_telling_key_is_a_key_like_any_other(key: str) -> None:
    after = json_patch([{"op": "add", "path": f"/{key}", "value": {}}])(SMALL)

    assert after == {**SMALL, key: {}}


@pytest.mark.parametrize("path", ["Patient.__class__", "Patient.name.__len__()", "Patient.$this", "Patient.name['a']"])
def test_a_path_reaches_elements_and_nothing_else(path: str) -> None:
    with pytest.raises(FhirError) as caught:
        fhirpath_patch(parameters(operation("delete", path)))(SMALL)

    assert caught.value.status in {400, 422}
