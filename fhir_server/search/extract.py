"""Resource -> search values, and the keywords under which it is found again.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.sources import Source
from fhir_server.search.types.inside import inside_keywords
from fhir_server.search.types.kind import Value

SearchValues: TypeAlias = Mapping[str, tuple[Value, ...]]
"""Code of a parameter -> its values; a parameter without values is absent."""

MOST_KEYWORDS = 100_000
"""A code system of 30,000 concepts has about as many; they take 2 MB of the 16 that a document may have."""

TYPE = "_type"
"""The reserved parameter that every resource has one keyword of: it finds all of a type, in their order."""


Keyword: TypeAlias = tuple[str, str]
"""What becomes one token: the parameter, as `Type.code`, which has a key of its own, and the keyword."""


def search_values(resource: Json, registry: Registry = STANDARD) -> SearchValues:
    """All values of all parameters."""
    found: dict[str, list[Value]] = {}
    for source in _sources(resource, registry.of(resource["resourceType"]).by_property):
        if values := source.read(resource):
            found.setdefault(source.code, []).extend(values)
    return {code: tuple(values) for code, values in found.items()}


def values_of(resource: Json, codes: Iterable[str], registry: Registry = STANDARD) -> SearchValues:
    """The values of the named parameters only."""
    by_code = registry.of(resource["resourceType"]).by_code
    found = ((code, tuple(_values(resource, by_code[code].sources))) for code in codes)
    return {code: values for code, values in found if values}


def index_keywords(resource: Json, registry: Registry = STANDARD) -> set[Keyword]:
    """All keywords to store for a resource; each is as sensitive as the resource itself.

    Raises UnprocessableError for a resource with more than the index should carry.
    """
    type_name = resource["resourceType"]
    found = {type_keyword(type_name)}
    inside = registry.inside
    for source in _sources(resource, registry.of(type_name).indexed):
        values = source.read(resource)
        if not values:
            continue
        parameter = f"{type_name}.{source.code}"
        for value in values:
            for keyword in value.keywords():
                found.add((parameter, keyword))
            if parameter in inside:
                found.update((parameter, keyword) for keyword in inside_keywords(value))
    if len(found) > MOST_KEYWORDS:
        raise UnprocessableError(f"The resource has more than {MOST_KEYWORDS} keywords to be found by.")
    return found


def type_keyword(type_name: str) -> Keyword:
    return f"{type_name}.{TYPE}", ""


def compartment_keyword(type_name: str, compartment: str) -> Keyword:
    """By which a resource is found as lying in a patient's compartment, of which its address says so."""
    return f"{type_name}._compartment", compartment


def _sources(resource: Json, by_property: Mapping[str, tuple[Source, ...]]) -> list[Source]:
    return [source for name in ("", *resource) for source in by_property.get(name, ())]


def _values(resource: Json, sources: tuple[Source, ...]) -> Iterator[Value]:
    for source in sources:
        yield from source.read(resource)
