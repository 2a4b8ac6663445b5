"""A compiled expression: one lane per type that its items can have, each a short row of steps.

The type of an item is known when the expression is compiled, so that evaluating costs a dictionary look-up per step.
http://hl7.org/fhirpath/N1/#path-selection
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhir_server.fhir.fhirpath.hierarchy import ANY_RESOURCE
from fhir_server.kernel.json import Json

Step: TypeAlias = Callable[[list[Any], Json], list[Any]]
"""Items and the resource that holds them -> items."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One static way through an item.

    `names` are the JSON properties on that way (`name`, `family`), `elements` the same in FHIRPath's words (`value` for
    `valueQuantity`), `owner` is the type that the last of them belongs to. `narrowed`: some items on the way are left
    out by a criterion, an index or a type of resource. `many`: it can yield more than one item. A lane without names
    must always be walked.
    """

    type: str
    steps: tuple[Step, ...] = ()
    names: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    owner: str = ""
    narrowed: bool = False
    many: bool = False

    def items(self, item: object, root: Json) -> list[Any]:
        found: list[Any] = [item]
        for step in self.steps:
            found = step(found, root)
            if not found:
                break
        return found


@dataclass(frozen=True, slots=True)
class CompiledPath:
    """Calling it yields (FHIR type name, JSON value) pairs; an item that two alternatives reach comes twice."""

    expression: str
    lanes: tuple[Lane, ...]

    def __call__(self, item: Json, root: Json | None = None) -> list[tuple[str, Any]]:
        """Evaluate on `item`, a resource or a part of the resource `root`."""
        whole = item if root is None else root
        return [(item_type(lane.type, found), found) for lane in self.lanes for found in lane.items(item, whole)]


def item_type(static: str, item: object) -> str:
    """What an item is: for `Resource` the item knows better than the definitions."""
    if static in ANY_RESOURCE and isinstance(item, dict):
        found = item.get("resourceType")
        return found if isinstance(found, str) else static
    return static


def one(name: str) -> Step:
    """The property `name` of each item."""

    def step(items: list[Any], _root: Json) -> list[Any]:
        if len(items) == 1:  # mostly
            found = items[0].get(name) if isinstance(items[0], dict) else None
            return [] if found is None else [found]
        return [found for item in items if isinstance(item, dict) and (found := item.get(name)) is not None]

    return step


def each(name: str) -> Step:
    """The members of the array `name` of each item; the nulls that stand in for extensions are no members."""

    def step(items: list[Any], _root: Json) -> list[Any]:
        return [
            found
            for item in items
            if isinstance(item, dict) and isinstance(members := item.get(name), list)
            for found in members
            if found is not None
        ]

    return step


def at(position: int) -> Step:
    def step(items: list[Any], _root: Json) -> list[Any]:
        return items[position : position + 1]

    return step


def the_root(_items: list[Any], root: Json) -> list[Any]:
    """The step of `%resource`."""
    return [root]
