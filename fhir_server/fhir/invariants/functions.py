"""The functions that R4's invariants call. Arguments are expressions; most are asked of each item in turn.

http://hl7.org/fhirpath/N1/#functions
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from fhir_server.fhir.invariants.navigation import children, descendants
from fhir_server.fhir.invariants.operators import answer, is_number, truth
from fhir_server.fhir.scope import Expression, Items, Scope
from fhir_server.kernel.json import encode

Function: TypeAlias = Callable[[Items, tuple[Expression, ...], Scope], Items]


def _where(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    return [item for item in items if truth(arguments[0]([item], scope))]


def _select(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    return [found for item in items for found in arguments[0]([item], scope)]


def _all(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    return [all(truth(arguments[0]([item], scope)) is not False for item in items)]


def _not(items: Items, _: tuple[Expression, ...], __: Scope) -> Items:
    decided = truth(items)
    return answer(None if decided is None else not decided)


def _iif(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    criterion, then, *otherwise = arguments
    if truth(criterion(items, scope)):
        return then(items, scope)
    return otherwise[0](items, scope) if otherwise else []


def _is_distinct(items: Items, _: tuple[Expression, ...], __: Scope) -> Items:
    return [len({encode(item) for item in items}) == len(items)]


def _intersect(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    scope.spend(len(items))
    other = {encode(item) for item in arguments[0](items, scope)}
    return [item for item in items if encode(item) in other]


def _combine(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    return [*items, *arguments[0]([scope.resource], scope)]


def _has_value(items: Items, _: tuple[Expression, ...], __: Scope) -> Items:
    return [len(items) == 1 and not isinstance(items[0], dict)]


def _to_integer(items: Items, _: tuple[Expression, ...], __: Scope) -> Items:
    return [int(item) for item in items[:1] if re.fullmatch(r"[+-]?[0-9]{1,18}", str(item))]


def _to_string(items: Items, _: tuple[Expression, ...], __: Scope) -> Items:
    """A Decimal without its exponent; an integer as it is, to which `:f` would give six decimals."""
    return [f"{item:f}" if isinstance(item, Decimal) else str(item) for item in items[:1] if not isinstance(item, dict)]


def _on_text(decide: Callable[[str, str], bool]) -> Function:
    def function(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
        asked = arguments[0](items, scope)[:1]
        return [decide(item, each) for item in items[:1] for each in asked if _are_texts(item, each)]

    return function


def _replace_matches(items: Items, arguments: tuple[Expression, ...], scope: Scope) -> Items:
    found = [each for argument in arguments for each in argument(items, scope)[:1]]
    if len(found) != len(arguments) or not _are_texts(*items[:1], *found):
        return []
    return [re.sub(found[0], found[1], item) for item in items[:1]]


def _are_texts(*items: object) -> bool:
    """An element that is missing, or of another type, leaves the answer unknown: its own fault is told elsewhere."""
    return all(isinstance(item, str) for item in items)


def is_of(type_name: str) -> Callable[[object], bool]:
    """As much of `is` as untyped JSON can tell: a boolean, a number, a resource."""
    if type_name in {"Boolean", "boolean"}:
        return lambda item: isinstance(item, bool)
    if type_name in {"Decimal", "decimal"}:
        return is_number
    return lambda item: isinstance(item, dict) and item.get("resourceType") == type_name


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "all": _all,
        "children": lambda items, _, __: children(items),
        "combine": _combine,
        "contains": _on_text(lambda text, part: part in text),
        "count": lambda items, _, __: [len(items)],
        "descendants": lambda items, _, __: descendants(items),
        "empty": lambda items, _, __: [not items],
        "exists": lambda items, arguments, scope: [bool(_where(items, arguments, scope) if arguments else items)],
        "first": lambda items, _, __: items[:1],
        "hasValue": _has_value,
        "iif": _iif,
        "intersect": _intersect,
        "isDistinct": _is_distinct,
        "matches": _on_text(lambda text, pattern: re.fullmatch(pattern, text) is not None),
        "not": _not,
        "replaceMatches": _replace_matches,
        "select": _select,
        "startsWith": _on_text(str.startswith),
        "tail": lambda items, _, __: items[1:],
        "toInteger": _to_integer,
        "toString": _to_string,
        "trace": lambda items, _, __: items,
        "where": _where,
    }
)
