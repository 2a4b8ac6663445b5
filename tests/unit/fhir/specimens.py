"""Valid instances of any type with any of its elements, made from the definitions: what no published example shows."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import chain, combinations
from typing import Any

from fhir_server.fhir.data import read
from fhir_server.fhir.faults import Fault
from fhir_server.fhir.scope import Scope
from fhir_server.fhir.shapes import shapes
from fhir_server.kernel.json import Json
from tests.unit.fhir.mutations import definitions

PLAIN: dict[str, Any] = {
    "base64Binary": "QUJD",
    "boolean": False,
    "canonical": "http://example.org/x|1.0#a",
    "code": "a-b c",
    "date": "1981-02",
    "dateTime": "2016-12-31T23:59:60.123456789+14:00",
    "decimal": Decimal("1.50E-7"),
    "id": "A-1.b",
    "instant": "2016-12-31T23:59:60Z",
    "integer": -(2**31),
    "markdown": "# Çöl\r\n\r\n*\U0001d538* & <b>\t",
    "oid": "urn:oid:2.16.840.1",
    "positiveInt": 2**31 - 1,
    "string": " Zoë 👩‍⚕️\n",
    "time": "23:59:60.000",
    "unsignedInt": 0,
    "uri": "urn:x:ü",
    "url": "mailto:a@example.org",
    "uuid": "urn:uuid:c757873d-ec9a-1326-a141-556f43239520",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml"><p>&lt;&#160;é</p></div>',
}
"""Values at the edge of what R4 allows."""

_OF_SYNTAX = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "text/plain; charset=utf-8",
    "http://hl7.org/fhir/ValueSet/currencies": "CHF",
}
_SPECIAL: dict[str, Any] = {
    "Extension": {"url": "urn:x", "valueDecimal": Decimal("0.10")},
    "Resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "QUJD"},
    "Linkage#item": [
        {"type": "source", "resource": {"display": "x"}},
        {"type": "alternate", "resource": {"id": "y", "display": "y"}},
    ],
    "MolecularSequence#coordinateSystem": 1,
    "StructureDefinition#type": "A",
    "ElementDefinition": {
        "id": "A",
        "path": "A",
        "definition": "x",
        "min": 0,
        "max": "*",
        "base": {"path": "A", "min": 0, "max": "*"},
    },
}
"""Types, and elements of a type, of which what is required says too little."""

_LARGEST = 2


def faults(type_name: str, value: Json) -> list[Fault]:
    return shapes()[type_name](value, {}, Scope.of(value)) or []


def elements(type_name: str) -> dict[str, Json]:
    return {name: each for name, (_, each) in definitions(plain(type_name)).items()}


def plain(type_name: str) -> str:
    definition = read("types")[type_name]
    return str(definition["base"]) if definition["kind"] == "profile" else type_name


def property_of(name: str, type_name: str) -> str:
    own = plain(type_name)
    return name.removesuffix("[x]") + (own[0].upper() + own[1:] if name.endswith("[x]") else "")


def value(owner: str, name: str, element: Json, type_name: str) -> Any:
    """What may stand as the JSON property of an element that has this type: an array where it repeats."""
    found = _SPECIAL.get(f"{owner}#{name}") or _one(element, type_name)
    return [found] if element.get("max") == "*" and not isinstance(found, list) else found


def _one(element: Json, type_name: str) -> Any:
    if type_name in _SPECIAL:
        return _SPECIAL[type_name]
    systems = read("value_sets").get(element.get("binding", "")) or {}
    listed = next(((system, codes[-1]) for system, codes in systems.items()), None)
    if type_name == "CodeableConcept" and listed:
        return {"coding": [{"system": listed[0], "code": listed[1]}]}
    if type_name == "Reference":
        return {"reference": f"{element.get('targets', ['Patient'])[0]}/x", "display": "x"}
    if read("types")[type_name]["kind"] != "primitive-type":
        return smallest(type_name)
    if "binding" in element:
        return listed[1] if listed else _OF_SYNTAX.get(element["binding"], PLAIN[type_name])
    return PLAIN[type_name]


def optional(type_name: str) -> Iterator[Json]:
    """Each element that need not be there, alone, once as each of its types."""
    for name, element in elements(type_name).items():
        if not element.get("min"):
            yield from as_each_type(type_name, name, element)


def as_each_type(owner: str, name: str, element: Json) -> Iterator[Json]:
    for each in element["type"]:
        if each != owner:  # no end of it otherwise
            yield {property_of(name, each): value(owner, name, element, each)}


@cache
def smallest(type_name: str) -> Json:
    """What is required of a type, and the first few elements that its rules ask for besides."""
    if type_name in _SPECIAL:
        return dict(_SPECIAL[type_name])
    needed: Json = {"resourceType": type_name} if read("types")[type_name]["kind"] == "resource" else {}
    for name, element in elements(type_name).items():
        if element.get("min"):
            needed |= next(as_each_type(type_name, name, element))
    if not faults(type_name, needed):
        return needed
    own = sorted(_own(type_name), key=lambda each: not _is_primitive(each))
    more = chain.from_iterable(combinations(own, size) for size in range(1, _LARGEST + 1))
    return next(found for each in more if not faults(type_name, found := merged(needed, each)))


def _own(type_name: str) -> list[Json]:
    return [
        each for each in optional(type_name) if not each.keys() & {"id", "extension", "modifierExtension", "contained"}
    ]


def _is_primitive(member: Json) -> bool:
    return not any(isinstance(each, dict | list) for each in member.values())


@cache
def largest(type_name: str) -> Json:
    """A resource with every element that its rules let stand beside the others, and somebody contained who is named."""
    found = dict(smallest(type_name))
    if "contained" in elements(type_name):
        held = {"resourceType": "Patient", "id": "c", "_birthDate": {"extension": [dict(_SPECIAL["Extension"])]}}
        found |= {"contained": [held], "extension": [{"url": "urn:x", "valueReference": {"reference": "#c"}}]}
    for name, element in elements(type_name).items():
        for member in as_each_type(type_name, name, element):
            more = {**found, **member}
            if not found.keys() & member.keys() and not faults(type_name, more):
                found = more
    return found


def merged(first: Json, more: tuple[Json, ...]) -> Json:
    found = dict(first)
    for each in more:
        found |= each
    return found
