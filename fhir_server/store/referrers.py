"""By which tokens those are found that refer to one resource, whatever their type.

https://hl7.org/fhir/R4/references.html; only elements that a search parameter covers have tokens.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache

from fhir_server.fhir.definitions import search_parameters, served_types
from fhir_server.kernel.identity import ResourceKey


def reference_tokens(key: ResourceKey, apart_from: Collection[str]) -> Iterator[tuple[str, str]]:
    """The keyword `Type/id` under each parameter that may hold it."""
    for type_name, parameter in _parameters(key.type):
        if type_name not in apart_from:
            yield parameter, str(key)


@lru_cache(maxsize=256)
def _parameters(target: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (type_name, f"{type_name}.{code}")
        for type_name in sorted(served_types())
        for code, each in search_parameters(type_name).items()
        if each.kind == "reference" and target in each.targets
    )
