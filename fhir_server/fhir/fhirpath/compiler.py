"""Turns an expression and the type that it stands on into closures; what it does not know it refuses here, once.

http://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from fhir_server.fhir.elements import children
from fhir_server.fhir.fhirpath.criterion import Criterion, criterion, is_criterion
from fhir_server.fhir.fhirpath.hierarchy import ANY_RESOURCE, is_a
from fhir_server.fhir.fhirpath.lane import CompiledPath, Lane, Step, at, each, one, the_root
from fhir_server.fhir.fhirpath.parser import parse
from fhir_server.fhir.fhirpath.syntax import (
    Function,
    Index,
    Literal,
    Name,
    Node,
    OfType,
    PathError,
    Root,
    Union,
)
from fhir_server.kernel.json import Json


@lru_cache(maxsize=8192)
def compile_path(expression: str, type_name: str) -> CompiledPath:
    """Compile `expression` for items of `type_name`, a resource type or the path of a backbone element.

    Raises PathError for what is not in the subset, and for an element that the type does not have.
    """
    return CompiledPath(expression, _lanes(parse(expression), type_name, top=type_name))


def _lanes(node: Node, type_name: str, top: str) -> tuple[Lane, ...]:
    """`type_name` is what the node stands on, `top` what the whole expression stands on."""
    within = partial(_lanes, top=top)
    match node:
        case Root():
            found: tuple[Lane, ...] = (Lane(top.partition(".")[0], (the_root,)),)
        case Name(name, None):
            found = _start(name, type_name)
        case Name(name, source) if source is not None:
            found = _children(within(source, type_name), name)
        case Union(left, right):
            found = within(left, type_name) + within(right, type_name)
        case OfType(source, wanted):
            found = _of_type(within(source, type_name), wanted)
        case Index(source, position):
            found = _index(within(source, type_name), position)
        case Function(name, arguments, source) if not is_criterion(node):
            start = (Lane(type_name),) if source is None else within(source, type_name)
            found = _function(name, arguments, start, top)
        case _:
            found = (Lane("boolean", (_answer(criterion(node, type_name, within)),)),)
    return found


def _answer(decide: Criterion) -> Step:
    def step(items: list[Any], root: Json) -> list[Any]:
        return [found for item in items if (found := decide(item, root)) is not None]

    return step


def _start(name: str, type_name: str) -> tuple[Lane, ...]:
    """`Patient` on a Patient is the Patient; on any other resource it is nothing: expressions are shared by types."""
    if not name[0].isupper():
        return _children((Lane(type_name),), name)
    if name == type_name or name in ANY_RESOURCE:
        return (Lane(type_name),)
    if not children(name):
        raise PathError(f"{name} is no type.")
    return ()


def _children(lanes: tuple[Lane, ...], name: str) -> tuple[Lane, ...]:
    found = tuple(
        replace(
            lane,
            type=element.type,
            steps=(*lane.steps, (each if element.many else one)(element.json_name)),
            names=(*lane.names, element.json_name),
            elements=(*lane.elements, name),
            owner=lane.type,
            many=lane.many or element.many,
        )
        for lane in lanes
        for element in children(lane.type).get(name, ())
    )
    if lanes and not found:
        raise PathError(f"{' and '.join(sorted({lane.type for lane in lanes}))} has no element {name}.")
    return found


def _of_type(lanes: tuple[Lane, ...], wanted: str) -> tuple[Lane, ...]:
    found = tuple(lane for lane in lanes if is_a(lane.type, wanted))
    inside = tuple(
        replace(lane, type=wanted, steps=(*lane.steps, _resources_of(wanted)), narrowed=True)
        for lane in lanes
        if lane.type in ANY_RESOURCE and lane not in found and children(wanted)
    )
    if lanes and not found and not inside:
        raise PathError(f"Nothing there can be a {wanted}.")
    return found + inside


def _resources_of(wanted: str) -> Step:
    def step(items: list[Any], _root: Json) -> list[Any]:
        return [item for item in items if isinstance(item, dict) and item.get("resourceType") == wanted]

    return step


def _index(lanes: tuple[Lane, ...], position: int) -> tuple[Lane, ...]:
    if len(lanes) > 1:
        raise PathError("An index needs items of one type before it.")
    return tuple(replace(lane, steps=(*lane.steps, at(position)), narrowed=True, many=False) for lane in lanes)


def _function(name: str, arguments: tuple[Node, ...], lanes: tuple[Lane, ...], top: str) -> tuple[Lane, ...]:
    if name == "where" and len(arguments) == 1:
        return tuple(_narrowed(lane, criterion(arguments[0], lane.type, partial(_lanes, top=top))) for lane in lanes)
    if name == "extension" and len(arguments) == 1 and isinstance(arguments[0], Literal):
        url = arguments[0].value
        return tuple(_narrowed(lane, _at_url(url)) for lane in _children(lanes, name))
    raise PathError(f"This subset of FHIRPath has no {name}() with {len(arguments)} arguments.")


def _at_url(url: object) -> Criterion:
    return lambda item, _root: isinstance(item, dict) and item.get("url") == url


def _narrowed(lane: Lane, decide: Criterion) -> Lane:
    def step(items: list[Any], root: Json) -> list[Any]:
        return [item for item in items if decide(item, root) is True]

    return replace(lane, steps=(*lane.steps, step), narrowed=True)
