"""Decides exactly, in memory, whether an opened resource meets a query: the post-filter, and the oracle for the index.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.json import Json
from fhir_server.search.extract import SearchValues, values_of
from fhir_server.search.tree import (
    AnyOf,
    Chain,
    Condition,
    Has,
    IdIn,
    InCompartment,
    InValueSet,
    Lineage,
    Listed,
    Missing,
    Query,
    Subsumed,
    Updated,
    ValueIn,
)
from fhir_server.search.types.date import DateValue

_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resource and the address that the store vouches for. `access`: the compartments in which it lies."""

    type: str
    id: str
    last_updated: datetime
    access: frozenset[str]
    resource: Json


def matches(query: Query, candidate: Candidate) -> bool:
    """True when the candidate meets every mandate and every filter."""
    return matcher(query)(candidate)


def matcher(query: Query) -> Callable[[Candidate], bool]:
    """The same question for many candidates: what the query asks for is worked out once."""
    conditions, codes = tuple(query.conditions()), codes_of(query)

    def meets(candidate: Candidate) -> bool:
        if candidate.type != query.type or (codes and not candidate.resource):
            return False  # a version that deletes has no values, and meets nothing that asks for any or for none
        values = values_of(candidate.resource, codes, query.registry) if codes else {}
        return all(_holds(condition, candidate, values) for condition in conditions)

    return meets


def elements_of(query: Query) -> frozenset[str] | None:
    """The top-level elements of a resource that decide, besides its type; None where any of it may."""
    by_code = query.registry.of(query.type).by_code
    sources = [source for code in codes_of(query) for source in by_code[code].sources]
    if not all(source.alone for source in sources):
        return None
    return frozenset(source.property for source in sources)


def codes_of(query: Query) -> frozenset[str]:
    """The parameters whose values decide."""
    return frozenset(_codes(query.conditions()))


def _codes(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        match condition:
            case ValueIn() | Missing():
                yield condition.parameter
            case AnyOf():
                for option in condition.options:
                    yield from _codes(option)
            case _:
                pass


def _holds(condition: Condition, candidate: Candidate, values: SearchValues) -> bool:
    match condition:
        case ValueIn(parameter, any_of, negated):
            found = values.get(parameter, ())
            return any(predicate.matches(value) for value in found for predicate in any_of) is not negated
        case Missing(parameter, missing):
            return (parameter not in values) is missing
        case IdIn(ids, negated):
            return (candidate.id in ids) is not negated
        case Updated(any_of):
            instant = _instant(candidate.last_updated)
            return any(predicate.matches(instant) for predicate in any_of)
        case InCompartment(compartment):
            return compartment in candidate.access
        case Chain() | Has() | Lineage() | Listed() | Subsumed() | InValueSet():
            raise UnresolvedError(type(condition).__name__)
        case AnyOf(options):
            return any(all(_holds(each, candidate, values) for each in option) for option in options)


class UnresolvedError(RuntimeError):
    """A condition that other resources decide was not looked up before: nothing can be said, so nothing is."""


def _instant(moment: datetime) -> DateValue:
    """`meta.lastUpdated` as it is written: to the millisecond."""
    low = microseconds(moment) // _MILLISECOND * _MILLISECOND
    return DateValue(low, low + _MILLISECOND)
