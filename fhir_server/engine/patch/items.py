"""The items of one element: each value with the id and extensions that stand beside it, and changes among them.

https://hl7.org/fhir/R4/json.html#primitive
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias

from fhir_server.engine.patch.limits import Effort
from fhir_server.kernel.json import Json

Item: TypeAlias = tuple[Any, Any]
"""A value and its shadow, which is what `_name` holds for a primitive; either may be None, of what exists not both."""


class Step(NamedTuple):
    """From an object to the item number `at` of its property `name`; on from a primitive it leads into the shadow."""

    name: str
    at: int
    many: bool
    primitive: bool


Place: TypeAlias = tuple[Step, ...]
"""From the resource to an item; empty for the resource itself."""


def items_of(holder: Json, name: str) -> list[Item]:
    return list(zip_longest(_listed(holder.get(name)), _listed(holder.get(f"_{name}"))))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def with_items(holder: Json, name: str, items: Sequence[Item], *, many: bool) -> Json:
    """A copy of the holder in which these are the items; what is empty is left out."""
    kept = [each for each in items if each[0] is not None or each[1] is not None]
    copy = dict(holder)
    _put(copy, name, [value for value, _ in kept], many=many)
    _put(copy, f"_{name}", [shadow for _, shadow in kept], many=many)
    return copy


def _put(copy: Json, name: str, values: list[Any], *, many: bool) -> None:
    if all(value is None for value in values):
        copy.pop(name, None)
    else:
        copy[name] = values if many else values[0]


def rewritten(node: Json, place: Place, change: Callable[[Json], Json], effort: Effort) -> Json:
    """A copy of the node in which `change` was applied to the object at `place`; what became empty is gone."""
    effort.spend(len(node))
    if not place:
        return change(node)
    step, rest = place[0], place[1:]
    items = items_of(node, step.name)
    effort.spend(len(items))
    value, shadow = items[step.at]
    if step.primitive:
        items[step.at] = (value, rewritten(shadow or {}, rest, change, effort) or None)
    else:
        items[step.at] = (rewritten(value, rest, change, effort) or None, None)
    return with_items(node, step.name, items, many=step.many)
