"""Every type's check, compiled once from the definitions, so that nothing is looked up while checking.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fhir_server.fhir.contained import contained_faults
from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.elements import CHOICE, property_name, unprofiled
from fhir_server.fhir.faults import Check, Fault, fault
from fhir_server.fhir.references import reference_faults
from fhir_server.fhir.shape import Shape
from fhir_server.fhir.slots import concept, many, primitive, shadow_of
from fhir_server.kernel.json import Json


@cache
def shapes() -> Mapping[str, Shape]:
    """Every type, backbone element and profile by name. All at once, since nearly all lead to all others."""
    types = read("types")
    found = {
        name: Shape(name, is_resource=each["kind"] == "resource")
        for name, each in types.items()
        if each["kind"] != "primitive-type"
    }
    for name, shape in found.items():
        for element_name, element in _elements(name).items():
            if element.get("max") != 0:
                _add(shape, element_name, element, found)
        shape.rules += _rules(name)
        if shape.is_resource:
            shape.properties["resourceType"] = _settled
    return found


def _elements(name: str) -> Json:
    definition = read("types")[name]
    inherited = _elements(definition["base"]) if "base" in definition else {}
    return {**inherited, **definition.get("elements", {})}


def _add(shape: Shape, name: str, element: Json, found: Mapping[str, Shape]) -> None:
    path = name.removesuffix(CHOICE)
    names: set[str] = set()
    for type_name in element["type"]:
        json_name = property_name(name, unprofiled(type_name))
        names |= {json_name, f"_{json_name}"}
        repeats, is_primitive = element.get("max") == "*", _is_primitive(type_name)
        check = _value(type_name, element, found)
        if repeats:
            check = many(check, json_name, is_primitive=is_primitive, least=element.get("min", 0))
        shape.properties[json_name] = check
        shape.paths[json_name] = path
        if is_primitive:
            shape.properties[f"_{json_name}"] = shadow_of(json_name, found["Element"], repeats=repeats)
            shape.paths[f"_{json_name}"] = path
    if name.endswith(CHOICE):
        shape.choices.append((path, frozenset(names)))
        if element.get("min"):
            shape.required_choices.append((path, frozenset(names)))
    elif element.get("min"):
        shape.required.append(name)


def _is_primitive(type_name: str) -> bool:
    return bool(read("types")[type_name]["kind"] == "primitive-type")


def _value(type_name: str, element: Json, found: Mapping[str, Shape]) -> Check:
    """The check of one value, by what kind of thing it is."""
    if _is_primitive(type_name):
        return primitive(type_name, element.get("binding"))
    if type_name == "Reference":
        return _reference(found[type_name], frozenset(element["targets"]) if "targets" in element else None)
    if type_name == "CodeableConcept":
        return concept(element.get("binding"), found[type_name])
    return _resource(found) if type_name == "Resource" else found[type_name]


def _reference(shape: Shape, targets: frozenset[str] | None) -> Check:
    def check(value: Any, holder: Json) -> list[Fault] | None:  # noqa: ANN401  JSON, not yet checked
        return shape(value, holder) or reference_faults(value, targets)

    return check


def _resource(found: Mapping[str, Shape]) -> Check:
    """A resource inside another: it says itself what it is."""
    held = {name: found[name] for name in served_types()}

    def check(value: Any, holder: Json) -> list[Fault] | None:  # noqa: ANN401  JSON, not yet checked
        name = value.get("resourceType") if type(value) is dict else None
        shape = held.get(name) if type(name) is str else None
        if shape is None:
            return fault("structure", "A resource of a type that this server holds is expected here.")
        return shape(value, holder)

    return check


def _settled(_: Any, __: Json) -> list[Fault] | None:  # noqa: ANN401  JSON, not yet checked
    """`resourceType` was looked at to choose the shape."""
    return None


def _rules(name: str) -> Iterator[Check]:
    """Rules of the base types that hold everywhere and are worth a hand-written check."""
    while name:
        if name == "Extension":
            yield _extension
        if name == "DomainResource":
            yield contained_faults
        name = read("types")[name].get("base", "")


def _extension(value: Any, _: Json) -> list[Fault] | None:  # noqa: ANN401  an object, its properties checked
    has_value = any(name.startswith(("value", "_value")) for name in value)
    if ("extension" in value) == has_value:
        return fault("invariant", "ext-1: Must have either extensions or value[x], not both.")
    return None
