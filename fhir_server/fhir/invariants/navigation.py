"""From an item to its children, by FHIRPath name.

https://hl7.org/fhir/R4/fhirpath.html#types
"""

from collections.abc import Iterator, Mapping
from functools import cache

from fhir_server.fhir.data import read
from fhir_server.fhir.elements import CHOICE, property_name, unprofiled
from fhir_server.fhir.scope import Expression, Items, Scope
from fhir_server.kernel.json import Json


@cache
def _choices() -> Mapping[str, Mapping[str, str]]:
    """`value` -> `valueQuantity`, `valueString` … and their shadows, each with the property that it stands for.

    Every choice in R4. No other type has a plain element so named.
    """
    found: dict[str, dict[str, str]] = {}
    for definition in read("types").values():
        for name, element in definition.get("elements", {}).items():
            if name.endswith(CHOICE):
                plain = name.removesuffix(CHOICE)
                for each in (plain, *(property_name(name, unprofiled(each)) for each in element["type"])):
                    found.setdefault(plain, {}).update({each: each, f"_{each}": each})
    return found


def child(name: str, source: Expression) -> Expression:
    choices = _choices().get(name)

    def step(items: Items, scope: Scope) -> Items:
        found: Items = []
        before = source(items, scope)
        for item in before:
            if isinstance(item, dict):
                if choices is None:
                    found += _values(item, name)
                else:
                    for json_name in {choices[each] for each in item if each in choices}:
                        found += _values(item, json_name)
        scope.spend(len(before) + len(found))
        return found

    return step


def _values(item: Json, json_name: str) -> Items:
    value = item.get(json_name)
    if value is None:
        shadow = item.get(f"_{json_name}")
        return [] if shadow is None else [shadow] if isinstance(shadow, dict) else [each for each in shadow if each]
    return [each for each in value if each is not None] if isinstance(value, list) else [value]


def children(items: Items) -> Items:
    return [found for item in items for found in _below(item)]


def _below(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        for name, value in item.items():
            if name != "resourceType":
                yield from (each for each in value if each is not None) if isinstance(value, list) else (value,)


def descendants(items: Items) -> Items:
    found, level = [], items
    while level:
        level = children(level)
        found += level
    return found
