"""Types whose resources are part of others of the same type: organisations, places, encounters, plans.

https://hl7.org/fhir/R4/search.html#reference: `:above` and `:below` go along them.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

from fhir_server.fhir.definitions import search_parameters, served_types

_PARENT = frozenset({"partof", "part-of"})


@cache
def parents() -> Mapping[str, str]:
    """Type -> the parameter that refers to the resource of the same type that it is part of."""
    found = (
        (type_name, each.code)
        for type_name in served_types()
        for each in search_parameters(type_name).values()
        if each.code in _PARENT and each.targets == {type_name}
    )
    return MappingProxyType(dict(found))


def hierarchies(types: Iterable[str]) -> tuple[str, ...]:
    """Those among the types that have parents."""
    return tuple(sorted(parents().keys() & set(types)))
