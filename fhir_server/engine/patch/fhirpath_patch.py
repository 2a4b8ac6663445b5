"""FHIRPath Patch: what its operations make of a resource.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fhir_server.engine.interactions import Edit
from fhir_server.engine.patch.fhirpath_operations import PathOperation, path_operations
from fhir_server.engine.patch.items import Item, items_of, rewritten, with_items
from fhir_server.engine.patch.limits import Effort, PatchError, accepted
from fhir_server.engine.patch.locations import Location, locations, root_of
from fhir_server.engine.patch.values import fitted
from fhir_server.fhir.elements import Element, children
from fhir_server.fhir.fhirpath import PathError
from fhir_server.fhir.fhirpath.syntax import Name
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json

_MOST_EFFORT = 2_000_000
"""How many items all operations of a patch may pass, together: about a second."""


def fhirpath_patch(parameters: object) -> Edit:
    """The edit that a Parameters resource describes; it leaves what it is given as it was.

    Raises InvalidRequestError for what is no FHIRPath Patch. The edit raises UnprocessableError where an operation does
    not fit the resource, TooCostlyError where the limits are passed.
    """
    found = path_operations(parameters)

    def edit(resource: Json) -> Json | None:
        effort = Effort(_MOST_EFFORT)
        result = resource
        for place, operation in enumerate(found):
            at = f"Parameters.parameter[{place}]"
            try:
                result = _APPLY[operation.type](result, operation, effort)
            except PatchError as error:
                raise UnprocessableError(f"Operation {place}, counted from 0: {error}", expression=at) from None
            except PathError as error:
                raise InvalidRequestError(f"Operation {place}, counted from 0: {error}", expression=at) from None
        return None if result is resource else accepted(resource, result)

    return edit


def _add(resource: Json, operation: PathOperation, effort: Effort) -> Json:
    """At the end of a list, or where a single element is still missing."""
    holder = _only(locations(operation.path, root_of(resource), effort))
    elements = _elements(holder.type, operation.name)
    element, item = _fitted(operation, elements)
    if not element.many and any(items_of(holder.holder, each.json_name) for each in elements):
        raise PatchError("the element is there already; replace it.")

    def change(node: Json) -> Json:
        items = items_of(node, element.json_name)
        effort.spend(len(items))
        return with_items(node, element.json_name, [*items, item], many=element.many)

    return rewritten(resource, holder.place, change, effort)


def _delete(resource: Json, operation: PathOperation, effort: Effort) -> Json:
    """What is not there is deleted already."""
    found = locations(operation.path, root_of(resource), effort)
    return _exchanged(resource, _only(found), None, effort) if found else resource


def _replace(resource: Json, operation: PathOperation, effort: Effort) -> Json:
    target = _only(locations(operation.path, root_of(resource), effort))
    if not target.place:
        raise PatchError("the resource itself stays; replace its elements.")
    return _exchanged(resource, target, _fitted(operation, _elements(target.owner, target.name)), effort)


def _exchanged(resource: Json, target: Location, by: tuple[Element, Item] | None, effort: Effort) -> Json:
    """With another item in place of the target, in a choice perhaps under another name; without any for None."""
    if not target.place:
        raise PatchError("the resource itself stays.")
    *above, last = target.place

    def change(node: Json) -> Json:
        items = items_of(node, last.name)
        effort.spend(len(items))
        if by is not None and by[0].json_name == last.name:
            items[last.at] = by[1]
            return with_items(node, last.name, items, many=last.many)
        del items[last.at]
        left = with_items(node, last.name, items, many=last.many)
        return left if by is None else with_items(left, by[0].json_name, [by[1]], many=by[0].many)

    return rewritten(resource, tuple(above), change, effort)


def _insert(resource: Json, operation: PathOperation, effort: Effort) -> Json:
    def insert(items: list[Item], elements: Sequence[Element]) -> None:
        if operation.index > len(items):
            raise PatchError("the index lies beyond the end of the list.")
        items.insert(operation.index, _fitted(operation, elements)[1])

    return _relisted(resource, operation, insert, effort)


def _move(resource: Json, operation: PathOperation, effort: Effort) -> Json:
    def move(items: list[Item], _: Sequence[Element]) -> None:
        if max(operation.index, operation.destination) >= len(items):
            raise PatchError("the source or the destination lies beyond the end of the list.")
        items.insert(operation.destination, items.pop(operation.index))

    return _relisted(resource, operation, move, effort)


def _relisted(
    resource: Json, operation: PathOperation, change: Callable[[list[Item], Sequence[Element]], None], effort: Effort
) -> Json:
    """With the list that the path names changed; it may be missing as yet."""
    path, root = operation.path, root_of(resource)
    assert isinstance(path, Name)
    holder = root if path.source is None else _only(locations(path.source, root, effort))
    elements = _elements(holder.type, path.name)
    if len(elements) != 1 or not elements[0].many:
        raise PatchError("the path names an element that does not repeat.")
    name = elements[0].json_name

    def relist(node: Json) -> Json:
        items = items_of(node, name)
        effort.spend(len(items))
        change(items, elements)
        return with_items(node, name, items, many=True)

    return rewritten(resource, holder.place, relist, effort)


_APPLY: Mapping[str, Callable[[Json, PathOperation, Effort], Json]] = MappingProxyType(
    {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}
)


def _only(found: list[Location]) -> Location:
    if len(found) != 1:
        raise PatchError("the path leads to more than one element." if found else "the path leads to nothing.")
    return found[0]


def _elements(type_name: str, name: str) -> tuple[Element, ...]:
    found = children(type_name).get(name)
    if found is None:
        raise PatchError("it names an element that its type does not have.")
    return found


def _fitted(operation: PathOperation, elements: Sequence[Element]) -> tuple[Element, Item]:
    assert operation.value is not None
    return fitted(operation.value, elements)
