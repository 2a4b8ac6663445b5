"""From a query as data to a MongoDB filter over tokens: an index scan, never a collection scan, never an expression.

sealed-storage section 2. What the filter finds are candidates; fhir_server.search.match decides on the opened resource.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.engine.position import Position
from fhir_server.search.extract import type_keyword
from fhir_server.search.plan import plan
from fhir_server.search.tree import IdIn, InCompartment, Query, Updated
from fhir_server.search.types.date import DateIs
from fhir_server.store.connection import Document

_MOST_LOCKS = 20
_FROM_LOW = frozenset({"eq", "ge", "gt", "sa"})
_TO_HIGH = frozenset({"eq", "le", "lt", "eb"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """`direction` is 1 or -1; `hint` names the one index that serves it."""

    filter: Document
    sort: Sequence[tuple[str, int]]
    hint: str
    direction: int


def compartment_keyword(type: str, compartment: str) -> tuple[str, str]:
    """The keyword by which a resource is found as lying in a patient's compartment."""
    return (f"{type}._compartment", compartment)


def compile_query(query: Query, after: Position | None, tokenizer: Tokenizer) -> Compiled:
    """Every value becomes a number or an id that was checked: nothing of a request reaches MongoDB as an operator."""
    conditions = list(_conditions(query, tokenizer))
    by_id = any("_id" in condition for condition in conditions)
    order = query.sort[0] if query.sort else None
    direction = -1 if order and order.descending else 1
    beyond = "$gte" if direction > 0 else "$lte"
    if order and order.by == "_id":
        if after:
            conditions.append({"_id": {"$gt" if direction > 0 else "$lt": after.id}})
        sort = [("_id", direction)]
    else:
        if after:
            # Rows of the same seq as the last one come again; the reader drops those up to its id.
            conditions.append({"seq": {beyond: after.seq}})
        sort = [("seq", direction), ("_id", direction)]
    return Compiled({"$and": conditions}, sort, "_id_" if by_id else "tokens", direction)


def lock_tokens(query: Query, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens of the most selective thing that the query asks for; of its type where that is too wide to lock."""
    narrowest = plan(query)[0]
    if len(narrowest.any_of) > _MOST_LOCKS:
        return (tokenizer.token(*type_keyword(query.type)),)
    found: list[int] = tokenizer.tokens(narrowest.any_of)
    return tuple(found)


def _conditions(query: Query, tokenizer: Tokenizer) -> Iterator[Document]:
    yield {"type": query.type, "deleted": False}
    for condition in query.conditions():
        match condition:
            case IdIn(ids):
                yield {"_id": {"$in": sorted(f"{query.type}/{id}" for id in ids)}}
            case Updated((asked,)):
                yield from _instants(asked)
            case InCompartment(compartment):
                yield {"tokens": tokenizer.token(*compartment_keyword(query.type, compartment))}
            case _:
                pass
    for group in plan(query):
        found: list[int] = tokenizer.tokens(group.any_of)
        yield {"tokens": found[0] if len(found) == 1 else {"$in": found}}


def _instants(asked: DateIs) -> Iterator[dict[str, Any]]:
    """A row's seq is lastUpdated in microseconds, so it bounds the scan; a bound may be wide, never narrow."""
    if asked.prefix in _FROM_LOW:
        yield {"seq": {"$gte": asked.low}}
    if asked.prefix in _TO_HIGH:
        yield {"seq": {"$lt": asked.high}}
