"""The order of matches: by any parameter whose values have an order, and by several.

https://hl7.org/fhir/R4/search.html#sort
"""

from dataclasses import dataclass
from typing import TypeAlias

from fhir_server.kernel.clock import microseconds
from fhir_server.search.address import address
from fhir_server.search.extract import TYPE, SearchValues, values_of
from fhir_server.search.match import Candidate
from fhir_server.search.plan import plan
from fhir_server.search.tree import Query, Sort
from fhir_server.search.types import ranks

Keys: TypeAlias = tuple[str | None, ...]
"""One for each key of the sort; None where the resource has no value for it."""

_ADDRESS = frozenset({"_id", "_lastUpdated"})


def in_index_order(query: Query) -> bool:
    """Does the database have the matches in the order asked for? If not, all of them have to be opened.

    Rows lie in the order of their last change. By id they lie apart, where nothing else narrows a search.
    """
    first = query.sort[0] if query.sort else Sort("_lastUpdated")
    if first.by == "_lastUpdated":
        return True
    known = address(query)
    narrowed = [group for group in plan(query) if not group.any_of[0][0].endswith(f".{TYPE}")]
    return first.by == "_id" and (known.ids is not None or not (narrowed or known.compartments))


def keys_of(query: Query, candidate: Candidate) -> Keys:
    """The keys of one match."""
    codes = [sort.by for sort in query.sort if sort.by not in _ADDRESS]
    values = values_of(candidate.resource, codes, query.registry) if codes else {}
    return tuple(_key(sort, candidate, values) for sort in query.sort)


@dataclass(frozen=True, slots=True)
class _Last:
    """Turns an order round."""

    text: str

    def __lt__(self, other: "_Last") -> bool:
        return other.text < self.text


def place(query: Query, keys: Keys, id: str) -> tuple[object, ...]:
    """Where a match stands: what has no value comes last in either direction, what is alike goes by type and id."""
    ordered = (
        (key is None, key if key is None else _Last(key) if sort.descending else key)
        for sort, key in zip(query.sort, keys, strict=True)
    )
    return (*ordered, id)


def _key(sort: Sort, candidate: Candidate, values: SearchValues) -> str | None:
    """R4: of several values the one that comes first in the direction of the sort."""
    if sort.by == "_id":
        return candidate.id
    if sort.by == "_lastUpdated":
        return ranks.whole(microseconds(candidate.last_updated) // 1000)
    found = [rank for value in values.get(sort.by, ()) if (rank := value.rank(sort.zone)) is not None]
    if not found:
        return None
    return max(found) if sort.descending else min(found)
