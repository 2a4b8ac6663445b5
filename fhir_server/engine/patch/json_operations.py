"""Reads a JSON Patch document: an array of operations, each checked before the first is applied.

RFC 6902 sections 3 and 4
"""

from dataclasses import dataclass

from fhir_server.engine.patch.limits import MOST_OPERATIONS
from fhir_server.engine.patch.pointer import Pointer, parse
from fhir_server.kernel.errors import InvalidRequestError

_WITH_VALUE = frozenset({"add", "replace", "test"})
_WITH_SOURCE = frozenset({"move", "copy"})
_KNOWN = _WITH_VALUE | _WITH_SOURCE | {"remove"}


@dataclass(frozen=True, slots=True)
class Operation:
    """`source` is the member `from` of a move or copy. Members that the operation does not define are ignored."""

    op: str
    path: Pointer
    source: Pointer = ()
    value: object = None


def operations(document: object) -> tuple[Operation, ...]:
    """Raises InvalidRequestError for what is no JSON Patch, naming the operation."""
    if not isinstance(document, list):
        raise InvalidRequestError("A JSON Patch is an array of operations.")
    if len(document) > MOST_OPERATIONS:
        raise InvalidRequestError(f"A patch has at most {MOST_OPERATIONS} operations.")
    return tuple(_operation(place, each) for place, each in enumerate(document))


def _operation(place: int, each: object) -> Operation:
    op = each.get("op") if isinstance(each, dict) else None
    if not isinstance(each, dict) or not isinstance(op, str) or op not in _KNOWN:
        raise _malformed(place, f"it needs `op`, one of {', '.join(sorted(_KNOWN))}.")
    if op in _WITH_VALUE and "value" not in each:
        raise _malformed(place, "it needs `value`.")
    path = _pointer(place, each, "path")
    if op not in _WITH_SOURCE:
        return Operation(op, path, value=each.get("value"))
    source = _pointer(place, each, "from")
    if op == "move" and len(source) < len(path) and path[: len(source)] == source:
        raise _malformed(place, "nothing moves into itself.")
    return Operation(op, path, source)


def _pointer(place: int, each: dict[str, object], name: str) -> Pointer:
    try:
        return parse(each.get(name))
    except ValueError:
        raise _malformed(place, f"it needs `{name}`, a JSON Pointer.") from None


def _malformed(place: int, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"Operation {place}, counted from 0: {why}")
