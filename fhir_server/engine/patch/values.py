"""The value of an operation: a `value[x]`, a resource, or for a type without a name the parts that it is made of.

https://hl7.org/fhir/R4/fhirpatch.html, https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fhir_server.engine.patch.items import Item, with_items
from fhir_server.engine.patch.limits import PatchError
from fhir_server.engine.patch.locations import is_primitive
from fhir_server.fhir.elements import Element, children
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json

_TEXT = frozenset({"string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid", "xhtml"})
_WHOLE = frozenset({"integer", "unsignedInt", "positiveInt"})
_TAKES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_TEXT, _TEXT),
    **dict.fromkeys(_WHOLE, _WHOLE),
    "decimal": _WHOLE,
    "dateTime": frozenset({"date"}),
    "instant": frozenset({"dateTime"}),
}
"""Which other primitives an element takes: validation judges the value, and there is no valueXhtml for a narrative."""


@dataclass(frozen=True, slots=True)
class Given:
    """`type` is the `X` of `valueX`, `Resource`, or empty where `parts` say it: element name -> value, in order."""

    type: str
    item: Item
    parts: tuple[tuple[str, "Given"], ...] = ()


def given(part: Json, expression: str) -> Given:
    """Raises InvalidRequestError for a part that carries no value, or several."""
    types = {_types()[name] for name in part if name in _types()}
    parts = part.get("part")
    if len(types) + ("part" in part) + ("resource" in part) != 1:
        raise InvalidRequestError("A value is one value[x], one resource, or parts.", expression=expression)
    if isinstance(parts, list) and parts:
        return Given(
            "", (None, None), tuple(_named(each, f"{expression}.part[{place}]") for place, each in enumerate(parts))
        )
    if types:
        [(name, element)] = types
        item = (part.get(name), part.get(f"_{name}"))
        if _is_well_formed(item, element):
            return Given(element, item)
    if isinstance(part.get("resource"), dict):
        return Given("Resource", (part["resource"], None))
    raise InvalidRequestError("This is no value of the type that its name says.", expression=expression)


def _named(part: object, expression: str) -> tuple[str, Given]:
    name = part.get("name") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(name, str):
        raise InvalidRequestError("A part has a name, that of the element.", expression=expression)
    return name, given(part, expression)


@cache
def _types() -> Mapping[str, tuple[str, str]]:
    """`valueString` and `_valueString` -> (`valueString`, `string`)."""
    named = [(each.json_name, each.type) for each in children("Parameters.parameter")["value"]]
    return {f"{mark}{name}": (name, type_name) for name, type_name in named for mark in ("", "_")}


def _is_well_formed(item: Item, type_name: str) -> bool:
    value, shadow = item
    if not is_primitive(type_name):
        return isinstance(value, dict) and bool(value) and shadow is None
    if isinstance(value, dict | list) or item == (None, None):
        return False
    return shadow is None or (isinstance(shadow, dict) and bool(shadow))


def fitted(value: Given, elements: Sequence[Element]) -> tuple[Element, Item]:
    """The element that takes the value (of a choice the one of its type) and the value as its item.

    Raises PatchError where the types do not agree.
    """
    if value.parts:
        if len(elements) != 1 or is_primitive(elements[0].type) or elements[0].type == "Resource":
            raise PatchError("parts make an element of one type that is neither primitive nor a resource.")
        return elements[0], (_composed(value.parts, elements[0].type), None)
    for element in elements:
        if element.type == value.type:
            return element, value.item
    if len(elements) == 1 and value.type in _TAKES.get(elements[0].type, ()):
        return elements[0], value.item
    raise PatchError("the value is of another type than the element.")


def _composed(parts: Sequence[tuple[str, Given]], type_name: str) -> Json:
    found: dict[str, tuple[Element, list[Item]]] = {}
    single: set[str] = set()
    for name, value in parts:
        elements = children(type_name).get(name)
        if elements is None:
            raise PatchError("a part names an element that the type does not have.")
        element, item = fitted(value, elements)
        if not element.many and name in single:
            raise PatchError("a part repeats an element that does not repeat.")
        single.add(name)
        found.setdefault(element.json_name, (element, []))[1].append(item)
    holder: Json = {}
    for json_name, (element, items) in found.items():
        holder = with_items(holder, json_name, items, many=element.many)
    return holder
