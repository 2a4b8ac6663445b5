"""From a query as data to a MongoDB filter over tokens: an index scan, never a collection scan, never an expression.

sealed-storage section 2. What the filter finds are candidates; fhir_server.search.match decides on the opened resource.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.engine.position import Position
from fhir_server.search.address import address
from fhir_server.search.extract import type_keyword
from fhir_server.search.plan import plan
from fhir_server.search.tree import Query
from fhir_server.search.types.moment import BEGINNING, END
from fhir_server.store.connection import Document

_MOST_LOCKS = 20


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
            # The first bounds the scan of the index, the second leaves out the rows of the same seq that were seen.
            past = "$gt" if direction > 0 else "$lt"
            conditions.append({"seq": {beyond: after.seq}})
            conditions.append({"$or": [{"seq": {past: after.seq}}, {"_id": {past: after.id}}]})
        sort = [("seq", direction), ("_id", direction)]
    # Events of one flush share their seq, so their index knows the id; that of resources does not.
    found_by = "tokens" if query.type == "AuditEvent" else "tokens_seq"
    return Compiled({"$and": conditions}, sort, "_id_" if by_id else found_by, direction)


def lock_tokens(query: Query, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens of the most selective thing that the query asks for; of its type where that is too wide to lock."""
    narrowest = plan(query)[0]
    if len(narrowest.any_of) > _MOST_LOCKS:
        return (tokenizer.token(*type_keyword(query.type)),)
    found: list[int] = tokenizer.tokens(narrowest.any_of)
    return tuple(found)


def _conditions(query: Query, tokenizer: Tokenizer) -> Iterator[Document]:
    yield {"type": query.type, "deleted": False}
    known = address(query)
    if known.ids is not None:
        yield {"_id": {"$in": sorted(f"{query.type}/{id}" for id in known.ids)}}
    if known.updated.low > BEGINNING:
        yield {"seq": {"$gte": known.updated.low}}
    if known.updated.high < END:
        yield {"seq": {"$lt": known.updated.high}}
    for compartment in known.compartments:
        yield {"tokens": tokenizer.token(*compartment_keyword(query.type, compartment))}
    for group in plan(query):
        found: list[int] = tokenizer.tokens(group.any_of)
        yield {"tokens": found[0] if len(found) == 1 else {"$in": found}}
