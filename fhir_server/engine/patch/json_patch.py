"""JSON Patch: what its operations make of a resource.

RFC 6902; https://hl7.org/fhir/R4/http.html#patch
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_server.engine.interactions import Edit
from fhir_server.engine.patch.equality import same
from fhir_server.engine.patch.json_operations import Operation, operations
from fhir_server.engine.patch.limits import Effort, PatchError, accepted
from fhir_server.engine.patch.pointer import END, Pointer, changed, follow, index, member, shallow
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json


def json_patch(document: object) -> Edit:
    """The edit that the document describes; it leaves what it is given as it was.

    Raises InvalidRequestError for what is no JSON Patch. The edit raises UnprocessableError where a `test` fails or a
    pointer leads nowhere, TooCostlyError and TooLargeError where the limits are passed.
    """
    found = operations(document)

    def edit(resource: Json) -> Json | None:
        effort = Effort()
        result: Any = resource
        for place, operation in enumerate(found):
            try:
                result = _APPLY[operation.op](result, operation, effort)
            except PatchError as error:
                raise UnprocessableError(f"Operation {place}, counted from 0: {error}") from None
        return None if result is resource else accepted(resource, result)

    return edit


def _add(document: Any, operation: Operation, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    return _with(document, operation.path, operation.value, effort)


def _remove(document: Any, operation: Operation, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    return _without(document, operation.path, effort)


def _replace(document: Any, operation: Operation, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    return changed(document, operation.path, lambda _: operation.value, effort)


def _move(document: Any, operation: Operation, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    value = follow(document, operation.source)
    if operation.source == operation.path:
        return document
    return _with(_without(document, operation.source, effort), operation.path, value, effort)


def _copy(document: Any, operation: Operation, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    """The copy shares everything with its source: nothing is ever changed in place."""
    value = follow(document, operation.source)
    effort.grow(value)
    return _with(document, operation.path, value, effort)


def _test(document: Any, operation: Operation, _: Effort) -> Any:  # noqa: ANN401  JSON is any value
    if not same(follow(document, operation.path), operation.value):
        raise PatchError("the test failed.")
    return document


_APPLY: Mapping[str, Callable[[Any, Operation, Effort], Any]] = MappingProxyType(
    {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}
)


def _with(document: Any, pointer: Pointer, value: object, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    """In an array what follows moves on, in an object the member is set."""
    if not pointer:
        return value
    *above, last = pointer

    def put(holder: Any) -> Any:  # noqa: ANN401  JSON is any value
        if not isinstance(holder, dict | list):
            raise PatchError("it points into what has no members.")
        copy = shallow(holder, effort)
        if isinstance(copy, dict):
            copy[last] = value
        else:
            copy.insert(len(copy) if last == END else index(last, len(copy)), value)
        return copy

    return changed(document, tuple(above), put, effort)


def _without(document: Any, pointer: Pointer, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    if not pointer:
        raise PatchError("the resource itself stays.")
    *above, last = pointer

    def take(holder: Any) -> Any:  # noqa: ANN401  JSON is any value
        key = member(holder, last)
        copy = shallow(holder, effort)
        del copy[key]
        return copy

    return changed(document, tuple(above), take, effort)
