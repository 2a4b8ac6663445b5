"""What every kind of search parameter gives: values that know their keywords, predicates that know their cover.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol, TypeAlias

Cover: TypeAlias = tuple[tuple[str, ...], ...]
"""AND of OR-groups of keywords. A value that matches has, of every group, at least one; () promises nothing."""

MOST_KEYWORDS = 180
"""How many keywords a group may have: beyond 200 the database no longer merges sorted runs, it sorts."""


class Value(Protocol):
    """One searchable value, taken out of a resource."""

    def keywords(self) -> Sequence[str]:
        """What is turned into tokens and stored. Never shown, logged or stored as text."""
        ...

    def rank(self, zone: tzinfo | None = None) -> str | None:
        """Its place among others, as a text with the same order; None where there is none.

        `zone`: where a date without a time zone is meant.
        """
        ...


class Predicate(Protocol):
    """One value of a query, parsed."""

    @property
    def breadth(self) -> int:
        """How much of a collection it may fit: 0 names one thing, 9 splits it in two. It orders the look-ups."""
        ...

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        """Necessary conditions, no group larger than `most`. What cannot be said so briefly is left out."""
        ...

    def matches(self, value: Value) -> bool:
        """The exact decision on the opened value."""
        ...


Reader: TypeAlias = Callable[[Any], Sequence[Value]]
"""A JSON value of one FHIR type -> its search values. Silent about what it cannot read: that is simply not found."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One alternative of a query parameter as the client wrote it, escapes and all, and what is known of the parameter.

    `types` are the FHIR types that its values are taken from, `targets` the resource types that a reference may name,
    `base` is this server's own address, which makes an absolute reference a local one. `zone` is where a date without a
    time zone is meant; None for UTC. `parts`: how each part of a composite is parsed.
    """

    parameter: str
    text: str
    modifier: str = ""
    types: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    base: str = ""
    zone: tzinfo | None = None
    parts: "tuple[tuple[Callable[[Asked], Predicate], Asked], ...]" = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One of FHIR's kinds of search parameter.

    `reader(type, owner)`: how values are taken from an item of `type` that was found in an `owner`; None where that
    type cannot be searched so. `modifiers`: those that `parse` understands, each with the FHIR types of which a
    parameter needs one to have it; with none it always has. `negatable`: `:not` makes sense.
    """

    name: str
    reader: Callable[[str, str], Reader | None]
    parse: Callable[[Asked], Predicate]
    modifiers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    negatable: bool = False


ANY_TYPE: frozenset[str] = frozenset()
"""A modifier that does not depend on the types of the values."""


def by_type(readers: Mapping[str, Reader]) -> Callable[[str, str], Reader | None]:
    """The `reader` of a kind that only looks at the type of an item."""
    return lambda type_name, _owner: readers.get(type_name)
