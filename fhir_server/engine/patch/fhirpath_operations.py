"""Reads a FHIRPath Patch: a Parameters resource of operations, each checked before the first is applied.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhir_server.engine.patch.limits import MOST_OPERATIONS
from fhir_server.engine.patch.values import Given, given
from fhir_server.fhir.fhirpath import PathError
from fhir_server.fhir.fhirpath.parser import parse
from fhir_server.fhir.fhirpath.syntax import Name, Node
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json

_MOST_CHARACTERS = 2_000
_PARTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "add": frozenset({"name", "value"}),
        "insert": frozenset({"index", "value"}),
        "delete": frozenset(),
        "replace": frozenset({"value"}),
        "move": frozenset({"source", "destination"}),
    }
)
"""What each type of operation needs beside `type` and `path`."""
_OF_LIST = frozenset({"insert", "move"})
_TEXT = ("valueString", "valueCode")
_NUMBER = ("valueInteger", "valueUnsignedInt", "valuePositiveInt")


@dataclass(frozen=True, slots=True)
class PathOperation:
    """One operation; what its type does not use is empty. `index` is that of an insert, or where a move begins."""

    type: str
    path: Node
    name: str = ""
    value: Given | None = None
    index: int = 0
    destination: int = 0


def path_operations(parameters: object) -> tuple[PathOperation, ...]:
    """Raises InvalidRequestError for what is no FHIRPath Patch, naming the parameter."""
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise InvalidRequestError("A FHIRPath Patch is a Parameters resource.")
    found = parameters.get("parameter", [])
    if not isinstance(found, list) or len(found) > MOST_OPERATIONS:
        raise InvalidRequestError(f"A patch has up to {MOST_OPERATIONS} operations.", expression="Parameters.parameter")
    return tuple(_operation(each, f"Parameters.parameter[{place}]") for place, each in enumerate(found))


def _operation(each: object, at: str) -> PathOperation:
    parts = _parts(each, at)
    kind = _text(parts, "type", at)
    if kind not in _PARTS:
        raise _malformed(f"The type of an operation is one of {', '.join(_PARTS)}.", at)
    if parts.keys() != _PARTS[kind] | {"type", "path"}:
        needed = ", ".join(["path", *sorted(_PARTS[kind])])
        raise _malformed(f"An operation of type {kind} has these parts beside its type, and no others: {needed}.", at)
    return PathOperation(
        kind,
        _path(parts, kind, at),
        _text(parts, "name", at) if "name" in parts else "",
        given(parts["value"], at) if "value" in parts else None,
        next((_number(parts, name, at) for name in ("index", "source") if name in parts), 0),
        _number(parts, "destination", at) if "destination" in parts else 0,
    )


def _parts(each: object, at: str) -> dict[str, Json]:
    parts = each.get("part") if isinstance(each, dict) and each.get("name") == "operation" else None
    if not isinstance(parts, list):
        raise _malformed("Each parameter is named operation and has parts.", at)
    found: dict[str, Json] = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in found:
            raise _malformed("The parts of an operation have names, each one once.", at)
        found[name] = part
    return found


def _text(parts: Mapping[str, Json], name: str, at: str) -> str:
    found = next((parts[name][key] for key in _TEXT if name in parts and key in parts[name]), None)
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_CHARACTERS:
        raise _malformed(f"The part {name} is a text of at most {_MOST_CHARACTERS} characters.", at)
    return found


def _number(parts: Mapping[str, Json], name: str, at: str) -> int:
    found = next((parts[name][key] for key in _NUMBER if key in parts[name]), None)
    if type(found) is not int or found < 0:
        raise _malformed(f"The part {name} is a whole number, counted from 0.", at)
    return found


def _path(parts: Mapping[str, Json], kind: str, at: str) -> Node:
    try:
        path = parse(_text(parts, "path", at))
    except PathError as error:
        raise _malformed(f"The path is not understood. {error}", at) from None
    if kind in _OF_LIST and not (isinstance(path, Name) and path.name[0].islower()):
        raise _malformed(f"The path of an operation of type {kind} ends with the name of a list.", at)
    return path


def _malformed(why: str, at: str) -> InvalidRequestError:
    return InvalidRequestError(why, expression=at)
