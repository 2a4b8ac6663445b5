"""What elements a type has: their JSON names, their types, whether they repeat.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from fhir_server.fhir.data import read
from fhir_server.kernel.json import Json

CHOICE = "[x]"
_NONE: Mapping[str, "tuple[Element, ...]"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON property of a type.

    `json_name` is the property (`valueQuantity`), `type` a FHIR type name (`Quantity`, `string`, `Reference`), or for a
    backbone element its path (`Patient.contact`), which `children` understands as well. `many`: a JSON array.
    """

    json_name: str
    type: str
    many: bool


def children(type_name: str) -> Mapping[str, tuple[Element, ...]]:
    """FHIRPath child name -> its JSON properties. `children("Observation")["value"]` has one Element per value[x] type.

    Inherited elements (id, extension, meta, text, contained …) are included. Contained resources and
    Bundle.entry.resource have the type `Resource`. An unknown type has no children.
    """
    return _children(type_name) if type_name in read("types") else _NONE


@cache
def _children(type_name: str) -> Mapping[str, tuple[Element, ...]]:
    definition = read("types")[type_name]
    own = {
        name.removesuffix(CHOICE): tuple(_elements(name, element))
        for name, element in definition.get("elements", {}).items()
        if element.get("max") != 0
    }
    return MappingProxyType({**children(definition.get("base", "")), **own})


@cache
def base64_properties() -> frozenset[str]:
    """Every JSON property that holds base64 content in some type: `data`, `valueBase64Binary` and a few more."""
    types = map(children, read("types"))
    found = (element for each in types for elements in each.values() for element in elements)
    return frozenset(element.json_name for element in found if element.type == "base64Binary")


def _elements(name: str, element: Json) -> Iterator[Element]:
    many = element.get("max") == "*"
    for each in element["type"]:
        plain = unprofiled(each)
        yield Element(property_name(name, plain), plain, many)


def property_name(name: str, type_name: str) -> str:
    """The JSON property of an element: `value[x]` as a Quantity is `valueQuantity`, anything else keeps its name."""
    return name.replace(CHOICE, type_name[0].upper() + type_name[1:])


def unprofiled(type_name: str) -> str:
    """The type of which a profile that R4 uses as a type (SimpleQuantity) is a narrower view; any other as it is."""
    definition = read("types").get(type_name, {})
    return str(definition["base"]) if definition.get("kind") == "profile" else type_name
