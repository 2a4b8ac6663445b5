"""What an expression says: the nodes that the parser makes and the compiler reads.

http://hl7.org/fhirpath/N1/grammar.html
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias


class PathError(ValueError):
    """The expression is not FHIRPath, leaves the subset spoken here, or names what its type does not have."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Root:
    """`%resource`: the resource that holds the item at hand."""


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier; without a source it starts a path: an element of the item at hand, or the name of its type."""

    name: str
    source: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    arguments: "tuple[Node, ...]" = ()
    source: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Index:
    source: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Union:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class And:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Equal:
    left: "Node"
    right: "Node"
    negated: bool


@dataclass(frozen=True, slots=True)
class OfType:
    """`x as T`, `x.as(T)`, `x.ofType(T)`: all keep the items of that type, also where `as` stands on several items."""

    source: "Node"
    type: str


@dataclass(frozen=True, slots=True)
class Is:
    source: "Node"
    type: str


Node: TypeAlias = Literal | Root | Name | Function | Index | Union | And | Equal | OfType | Is
