"""A query as data.

A Filter is what the caller asked for. A Mandate is what the caller may see: it is added to a query and never taken
away; a store that cannot honour one refuses, whatever `Prefer` says.
https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Literal, TypeAlias

from fhir_server.fhir.view import WHOLE, View
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.types.date import DateIs
from fhir_server.search.types.kind import Predicate

MOST_MATCHES_PER_PAGE = 1000
MATCHES_PER_PAGE = 20


@dataclass(frozen=True, slots=True)
class ValueIn:
    """A value of the parameter meets one of the predicates; `negated` (`:not`): no value meets any of them."""

    parameter: str
    any_of: tuple[Predicate, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """`:missing=true`: the parameter has no value; with `missing` False it has one."""

    parameter: str
    missing: bool


@dataclass(frozen=True, slots=True)
class IdIn:
    """`negated` (`:not`): it has none of these ids."""

    ids: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Updated:
    """`_lastUpdated`."""

    any_of: tuple[DateIs, ...]


@dataclass(frozen=True, slots=True)
class InCompartment:
    """The resource lies in a compartment such as `Patient/7`: its address says so."""

    compartment: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the options holds, each of them a conjunction. Without options nothing does."""

    options: "tuple[tuple[Condition, ...], ...]"


@dataclass(frozen=True, slots=True)
class Chain:
    """`subject:Patient.name=…`: what the parameter refers to is of one of these types and meets its condition.

    `named`: the client said which type it means, so a type that may not be searched is an error and not left out.
    """

    parameter: str
    hops: "tuple[tuple[str, Condition], ...]"
    named: bool


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Observation:patient:code=…`: a resource of that type meets the condition and refers here by a parameter."""

    type: str
    parameter: str
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Lineage:
    """`location:below=…`: the parameter refers to this one, or to one that lies under it (above it) in its hierarchy.

    `types`: those that may be meant; each is a hierarchy of its own.
    """

    parameter: str
    side: Literal["above", "below"]
    types: tuple[str, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """`_list`: an entry of one of these Lists."""

    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subsumed:
    """`code:below=system|code`: a coding is one of these concepts, or lies under one (above one) in its CodeSystem."""

    parameter: str
    side: Literal["above", "below"]
    concepts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class InValueSet:
    """`code:in=…`: a coding is in one of these ValueSets; `negated` (`:not-in`): none is in any of them.

    Each is named by its canonical URL, perhaps with a version, or as `ValueSet/7`.
    """

    parameter: str
    value_sets: tuple[str, ...]
    negated: bool = False


Link: TypeAlias = Chain | Has | Lineage | Listed | Subsumed | InValueSet
"""What other resources decide. The engine looks these up and puts ids in their place, before a store sees the query."""

Condition: TypeAlias = ValueIn | Missing | IdIn | Updated | InCompartment | AnyOf | Link


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked for, and how it was written."""

    condition: Condition
    asked: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mandate:
    """What is imposed, and by which rule (`smart.compartment`), which the audit log names and no client learns."""

    condition: Condition
    by: str


@dataclass(frozen=True, slots=True)
class Sort:
    """`by` is the code of a parameter, `zone` where its dates without a time zone are meant; None for UTC."""

    by: str
    descending: bool = False
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """`source` refers to `target` by `parameter`; each "" means any.

    `reverse`: the matches are the targets. `iterate`: what comes with them brings more in the same way.
    """

    source: str
    parameter: str
    target: str
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One search of one type.

    `counting`: only the total is wanted. `total` is the client's hint. `includes`: what is to come with it. `used` are
    the parameters as understood, in order; `ignored` the names that lenient handling left out. `view`: how much of each
    match is shown. `registry`: the search parameters that it was understood by.
    """

    type: str
    filters: tuple[Filter, ...] = ()
    mandates: tuple[Mandate, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = MATCHES_PER_PAGE
    counting: bool = False
    total: Literal["none", "estimate", "accurate"] | None = None
    includes: tuple[Include, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    view: View = WHOLE
    registry: Registry = field(default=STANDARD, compare=False, repr=False)

    def must(self, mandate: Mandate) -> "Query":
        return replace(self, mandates=(*self.mandates, mandate))

    def self_parameters(self) -> tuple[tuple[str, str], ...]:
        """What the self link lists: exactly the parameters used, in the order of the request."""
        return self.used

    def conditions(self) -> Iterator[Condition]:
        """Everything a match has to meet."""
        for mandate in self.mandates:
            yield mandate.condition
        for each in self.filters:
            yield each.condition
