"""Where in a resource a path leads: the places of its elements, ready to be changed.

https://hl7.org/fhir/R4/fhirpatch.html; the part of FHIRPath that selects and never computes
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_server.engine.patch.equality import same
from fhir_server.engine.patch.items import Place, Step, items_of
from fhir_server.engine.patch.limits import Effort, PatchError
from fhir_server.fhir.data import read
from fhir_server.fhir.elements import children
from fhir_server.fhir.fhirpath.hierarchy import ANY_RESOURCE, is_a
from fhir_server.fhir.fhirpath.syntax import And, Equal, Function, Index, Literal, Name, Node, OfType, PathError
from fhir_server.kernel.json import Json

_TOIL = 10
"""What a location costs, an item that is merely passed being 1."""


class Location(NamedTuple):
    """An element that exists. `holder` is the object with its children: for a primitive what stands in `_name`.

    `owner` is the type of the element above and `name` what that calls this one.
    """

    place: Place
    type: str
    holder: Json
    value: Any
    owner: str = ""
    name: str = ""


def root_of(resource: Json) -> Location:
    return Location((), str(resource.get("resourceType")), resource, resource)


def locations(path: Node, start: Location, effort: Effort) -> list[Location]:
    """Every element that the path selects, from `start` on. Raises PatchError for a name that the type does not have.

    Raises PathError for what FHIRPath has and a patch does not need.
    """
    found = [start]
    for step in _steps(path):
        effort.spend(len(found) + 1)
        found = _next(step, found, start, effort)
    return found


def _steps(path: Node) -> Iterator[Node]:
    chain: list[Node] = []
    node: Node | None = path
    while node is not None:
        chain.append(node)
        node = node.source if isinstance(node, Name | Function | Index | OfType) else None
    return reversed(chain)


def _next(step: Node, found: list[Location], start: Location, effort: Effort) -> list[Location]:
    match step:
        case Name(name, None) if name[0].isupper():
            found = _named(name, start)
        case Name(name, _):
            found = [child for each in found for child in _children(each, name, effort)]
        case Index(_, position):
            found = found[position : position + 1]
        case OfType(_, wanted):
            found = [each for each in found if is_a(each.type, wanted)]
        case Function("first", (), _):
            found = found[:1]
        case Function("last", (), _):
            found = found[-1:]
        case Function("extension", (Literal(str() as url),), _):
            extensions = (child for each in found for child in _children(each, "extension", effort))
            found = [each for each in extensions if each.holder.get("url") == url]
        case Function("where", (criterion,), _):
            found = [each for each in found if _holds(criterion, each, effort)]
        case _:
            raise PathError("A path of a patch has names, [n], where(), first(), last(), extension(), ofType() and as.")
    return found


def _named(name: str, start: Location) -> list[Location]:
    if start.place or (name != start.type and name not in ANY_RESOURCE):
        raise PatchError("the path begins with another type than that of the resource.")
    return [start]


def _children(above: Location, name: str, effort: Effort) -> Iterator[Location]:
    elements = children(above.type).get(name)
    if elements is None:
        raise PatchError("the path names an element that its type does not have.")
    for element in elements:
        items = items_of(above.holder, element.json_name)
        effort.spend(_TOIL * len(items))
        primitive = is_primitive(element.type)
        for position, (value, shadow) in enumerate(items):
            inside = shadow if primitive else value
            holder = inside if isinstance(inside, dict) else {}
            place = (*above.place, Step(element.json_name, position, element.many, primitive))
            yield Location(place, _type(element.type, holder), holder, value, above.type, name)


def is_primitive(type_name: str) -> bool:
    return bool(read("types")[type_name]["kind"] == "primitive-type")


def _type(stated: str, holder: Json) -> str:
    """A resource inside another says itself what it is."""
    found = holder.get("resourceType") if stated in ANY_RESOURCE else None
    return found if isinstance(found, str) else stated


def _holds(criterion: Node, item: Location, effort: Effort) -> bool:
    match criterion:
        case And(left, right):
            return _holds(left, item, effort) and _holds(right, item, effort)
        case Equal(left, Literal(value), negated):
            found = locations(left, item, effort)
            return bool(found) and (len(found) == 1 and same(found[0].value, value)) is not negated
        case Function("exists", (), source) if source is not None:
            return bool(locations(source, item, effort))
    raise PathError("where() takes `element = literal`, `!=`, `element.exists()`, and these joined by `and`.")
