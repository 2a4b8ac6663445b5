"""The operators between two expressions. Nothing in, nothing out: an empty collection stands for "unknown".

http://hl7.org/fhirpath/N1/#operations
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TypeGuard

from fhir_server.fhir.invariants.moments import MOMENT, order
from fhir_server.fhir.scope import Expression, Items, Scope
from fhir_server.kernel.json import Json

Combine = Callable[[Items, Items], Items]


def truth(items: Items) -> bool | None:
    """A collection where a boolean is asked for: one item that is no boolean counts as true."""
    return None if len(items) != 1 else items[0] if isinstance(items[0], bool) else True


def answer(decided: bool | None) -> Items:  # noqa: FBT001  three-valued, not a flag
    return [] if decided is None else [decided]


def is_number(item: object) -> TypeGuard[int | Decimal]:
    return isinstance(item, int | Decimal) and not isinstance(item, bool)


def same(left: object, right: object) -> bool:
    """In Python True is 1, in FHIRPath it is not."""
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _and(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    return [False] if first is False or second is False else [True] if first and second else []


def _or(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    return [True] if first or second else [False] if first is False and second is False else []


def _xor(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    return [] if first is None or second is None else [first is not second]


def _implies(left: Items, right: Items) -> Items:
    first = truth(left)
    return [True] if first is False else _or(answer(None if first is None else not first), right)


def _equal(left: Items, right: Items) -> Items:
    if not left or not right:
        return []
    return [len(left) == len(right) and all(map(same, left, right))]


def _unequal(left: Items, right: Items) -> Items:
    return [not found for found in _equal(left, right)]


def _union(left: Items, right: Items) -> Items:
    found: Items = []
    for item in (*left, *right):
        if not any(same(item, each) for each in found):
            found.append(item)
    return found


def _in(left: Items, right: Items) -> Items:
    return [any(same(left[0], each) for each in right)] if len(left) == 1 else []


def _concatenated(left: Items, right: Items) -> Items:
    return ["".join(str(item) for items in (left, right) for item in items[:1])]


def _sum(left: Items, right: Items) -> Items:
    return [left[0] + right[0]] if len(left) == len(right) == 1 and is_number(left[0]) and is_number(right[0]) else []


def _ordered(holds: Callable[[int], bool]) -> Combine:
    def combine(left: Items, right: Items) -> Items:
        found = _compare(left[0], right[0]) if len(left) == len(right) == 1 else None
        return [] if found is None else [holds(found)]

    return combine


def _compare(left: object, right: object) -> int | None:
    if is_number(left) and is_number(right):
        return int(left > right) - int(left < right)
    if isinstance(left, str) and isinstance(right, str) and MOMENT.fullmatch(left) and MOMENT.fullmatch(right):
        return order(left, right)
    if isinstance(left, dict) and isinstance(right, dict) and _unit(left) == _unit(right):
        return _compare(left.get("value"), right.get("value"))
    return None


def _unit(quantity: Json) -> tuple[object, object]:
    """The coded unit; without a code the unit as people read it."""
    return quantity.get("system"), quantity.get("code", quantity.get("unit"))


LEVELS: tuple[Mapping[str, Combine], ...] = tuple(
    MappingProxyType(level)
    for level in (
        {"implies": _implies},
        {"or": _or, "xor": _xor},
        {"and": _and},
        {"in": _in},
        {"=": _equal, "!=": _unequal},
        {
            "<=": _ordered(lambda found: found <= 0),
            "<": _ordered(lambda found: found < 0),
            ">=": _ordered(lambda found: found >= 0),
            ">": _ordered(lambda found: found > 0),
        },
        {"|": _union},
        {"+": _sum, "&": _concatenated},
    )
)
"""From the loosest to the tightest."""


_SETTLED: Mapping[Combine, tuple[bool, bool]] = MappingProxyType(
    {_or: (True, True), _and: (False, False), _implies: (False, True)}
)
"""What the left side may say that no right side alters, and what both together say then."""


def between(combine: Combine, left: Expression, right: Expression) -> Expression:
    """The right side is not evaluated where the left one settles it."""

    def evaluate(items: Items, scope: Scope) -> Items:
        return combine(left(items, scope), right(items, scope))

    if combine not in _SETTLED:
        return evaluate
    settling, settled = _SETTLED[combine]

    def evaluate_shortly(items: Items, scope: Scope) -> Items:
        first = left(items, scope)
        return [settled] if truth(first) is settling else combine(first, right(items, scope))

    return evaluate_shortly
