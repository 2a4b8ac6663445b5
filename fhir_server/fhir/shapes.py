"""Every type's check, compiled once from the definitions, so that nothing is looked up while checking.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Mapping
from functools import cache

from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import served_types, why_not_served
from fhir_server.fhir.elements import CHOICE, property_name, unprofiled
from fhir_server.fhir.faults import Check, Fault, fault
from fhir_server.fhir.references import reference_faults
from fhir_server.fhir.rules import invariants, type_rules, with_rules
from fhir_server.fhir.scope import Scope
from fhir_server.fhir.shadows import shadow_of
from fhir_server.fhir.shape import Shape
from fhir_server.fhir.slots import concept, many, primitive
from fhir_server.kernel.json import Json

_SHADOW = "_Element"
"""The Element that stands beside the value of a primitive."""


@cache
def shapes() -> Mapping[str, Shape]:
    """Every type, backbone element and profile by name. All at once, since nearly all lead to all others."""
    types = {name: each for name, each in read("types").items() if each["kind"] != "primitive-type"}
    found = {name: Shape(name, may_be_bare=each["kind"] == "resource") for name, each in types.items()}
    found[_SHADOW] = Shape("Element", may_be_bare=True)
    for name, definition in types.items():
        shape = found[name]
        for owner in _lineage(name):
            for element_name, element in types[owner].get("elements", {}).items():
                _add(shape, owner, element_name, element, found)
            shape.rules += type_rules(owner)
        if definition["kind"] == "resource":
            shape.properties["resourceType"] = _settled
    found[_SHADOW].properties |= found["Element"].properties
    found[_SHADOW].paths |= found["Element"].paths
    return found


def _lineage(name: str) -> list[str]:
    """The type after those that it is made from, so that its own word comes last."""
    base = read("types")[name].get("base")
    return [*(_lineage(base) if base else ()), name]


def _add(shape: Shape, owner: str, name: str, element: Json, found: Mapping[str, Shape]) -> None:
    path = name.removesuffix(CHOICE)
    if element.get("max") == 0:
        shape.properties = {key: check for key, check in shape.properties.items() if key.removeprefix("_") != path}
        return
    names: set[str] = set()
    for type_name in element["type"]:
        json_name = property_name(name, unprofiled(type_name))
        shadow, repeats = f"_{json_name}", element.get("max") == "*"
        names |= {json_name, shadow}
        check = with_rules(_value(type_name, name, element, found), invariants(owner, element))
        if repeats:
            check = many(check, json_name, is_primitive=_is_primitive(type_name), least=element.get("min", 0))
        shape.properties[json_name] = check
        shape.paths[json_name] = path
        if _is_primitive(type_name) and "bare" not in element:
            shape.properties[shadow] = shadow_of(json_name, found[_SHADOW], repeats=repeats)
            shape.paths[shadow] = path
    if name.endswith(CHOICE):
        shape.choices.append((path, frozenset(names)))
        if element.get("min"):
            shape.required_choices.append((path, frozenset(names)))
    elif element.get("min"):
        shape.required.append((name, f"_{name}"))


def _is_primitive(type_name: str) -> bool:
    return bool(read("types")[type_name]["kind"] == "primitive-type")


def _value(type_name: str, name: str, element: Json, found: Mapping[str, Shape]) -> Check:
    """The check of one value, by what kind of thing it is."""
    if _is_primitive(type_name):
        return primitive(type_name, element.get("binding"))
    if type_name == "Reference":
        return _reference(found[type_name], frozenset(element["targets"]) if "targets" in element else None)
    if type_name == "CodeableConcept":
        return concept(element.get("binding"), found[type_name])
    if type_name == "Resource":
        return _resource({each: found[each] for each in served_types()}, contained=name == "contained")
    return found[type_name]


def _reference(shape: Shape, targets: frozenset[str] | None) -> Check:
    def check(value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        found = shape(value, holder, scope)
        return reference_faults(value, targets, scope) if found is None and isinstance(value, dict) else found

    return check


def _resource(held: Mapping[str, Shape], *, contained: bool) -> Check:
    """A resource inside another: it says itself what it is. Only a contained one shares the other's `#` references."""

    def check(value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        name = value.get("resourceType") if isinstance(value, dict) else None
        shape = held.get(name) if isinstance(name, str) else None
        if shape is None or not isinstance(value, dict):
            return fault("structure", why_not_served(name) if name else "A resource is expected here.")
        return shape(value, holder, scope.inside(value, contained=contained))

    return check


def _settled(_: object, __: Json, ___: Scope) -> list[Fault] | None:
    """`resourceType` was looked at to choose the shape."""
    return None
