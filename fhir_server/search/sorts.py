"""`_sort`: the keys of an order, each a parameter that all types searched have.

https://hl7.org/fhir/R4/search.html#sort
"""

from collections.abc import Collection

from fhir_server.search.language import Language
from fhir_server.search.registry import Registry
from fhir_server.search.results import UnknownParameterError, not_supported, shown
from fhir_server.search.tree import Sort

MOST_KEYS = 4
SORTABLE = frozenset({"string", "token", "date", "number", "quantity", "reference", "uri"})
"""Kinds whose values have an order; those of a composite are several, and a distance is from somewhere."""


def sorts(types: Collection[str], value: str, language: Language) -> tuple[Sort, ...]:
    """`name,-birthdate`. Raises UnknownParameterError for what is no parameter of every type."""
    keys: dict[str, Sort] = {}
    for written in value.split(","):
        code = written.removeprefix("-")
        for type in types:
            _require_sortable(language.registry, type, code)
        keys.setdefault(code, Sort(code, written.startswith("-"), language.zone))
    if len(keys) > MOST_KEYS:
        raise not_supported(f"_sort takes at most {MOST_KEYS} keys.")
    return tuple(keys.values())


def _require_sortable(registry: Registry, type: str, code: str) -> None:
    by_code = registry.of(type).by_code
    parameter = by_code.get(code)
    if parameter is None or parameter.kind.name not in SORTABLE:
        known = ", ".join(sorted(code for code, each in by_code.items() if each.kind.name in SORTABLE))
        raise UnknownParameterError(f"{type} has no order by {shown(code)}. It has: {known}.")
