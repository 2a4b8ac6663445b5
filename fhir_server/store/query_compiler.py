"""From a query as data to a MongoDB filter over tokens: an index scan, never a collection scan, never an expression.

sealed-storage section 2. What the filter finds are candidates; fhir_server.search.match decides on the opened resource.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import UnavailableError
from fhir_server.search.address import Address, address
from fhir_server.search.extract import type_keyword
from fhir_server.search.match import codes_of
from fhir_server.search.plan import Group, plan
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.tree import Query
from fhir_server.search.types.kind import MOST_KEYWORDS
from fhir_server.search.types.moment import BEGINNING, END
from fhir_server.store.connection import Document

_MOST_LOCKS = 20


@dataclass(frozen=True, slots=True)
class Compiled:
    """`filters`: what any of them finds is a candidate. `direction` is 1 or -1; `hint` names the index that serves.

    `is_whole_order`: the sort leaves no two rows in the same place. `by_tokens_alone`: there is nothing in the filter
    that another index could serve, so the database takes that one without a hint.
    """

    filters: Sequence[Document]
    sort: Sequence[tuple[str, int]]
    hint: str
    direction: int
    is_whole_order: bool
    by_tokens_alone: bool = False


def compile_query(query: Query, after: Position | None, tokenizer: Tokenizer) -> Compiled:
    """Every value becomes a number or an id that was checked: nothing of a request reaches MongoDB as an operator."""
    known = address(query)
    first, *others = plan(query)
    alone = not others and known.ids is None
    conditions = list(_address_conditions(query.type, known, typed=not alone))
    order = query.sort[0] if query.sort else None
    direction = -1 if order and order.descending else 1
    beyond = "$gte" if direction > 0 else "$lte"
    by_id = known.ids is not None
    if order and order.by == "_id":
        by_id = True
        # All of a type, and nothing that begins alike: "0" is the character after "/".
        conditions.append({"_id": {"$gte": f"{query.type}/", "$lt": f"{query.type}0"}})
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
    conditions += [_also(group, first, tokenizer) for group in others]
    lead = tokenizer.tokens(first.any_of)
    # Where rows are found by id the tokens are only looked at, however many they are.
    size = len(lead) if by_id else MOST_KEYWORDS
    filters = [{"$and": [_any_of(lead[at : at + size]), *conditions]} for at in range(0, len(lead), size)]
    # Events of one flush share their seq, so their index knows the id; that of resources does not.
    found_by = "tokens" if query.type == "AuditEvent" else "tokens_seq"
    if not by_id and found_by == "tokens_seq":
        return Compiled(filters, sort[:1], found_by, direction, is_whole_order=False, by_tokens_alone=alone)
    return Compiled(filters, sort, "_id_" if by_id else found_by, direction, is_whole_order=True)


def by(registry: Registry, query: Query) -> Query:
    """The query on the index as it is now, whatever it was when the query was understood.

    Raises UnavailableError for a parameter that is not there any more.
    """
    if query.registry.number == registry.number:
        return query
    then, now = query.registry.of(query.type).by_code, registry.of(query.type).by_code
    if any(code not in now or now[code].definition != then[code].definition for code in codes_of(query)):
        raise UnavailableError("The search parameters have been changed; search again.")
    return replace(query, registry=registry)


def lock_tokens(query: Query, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens of the most selective thing that the query asks for; of its type where that is too wide to lock.

    What the query imposes does not count: two who ask for the same take the same locks, whatever each of them may see.
    Nor does what R4 does not define: every process takes the same ones, whichever version of the index it goes by.
    """
    known = STANDARD.of(query.type).by_code.keys()
    alike = tuple(one for one in query.filters if codes_of(replace(query, filters=(one,), mandates=())) <= known)
    narrowest = plan(replace(query, registry=STANDARD, filters=alike, mandates=()))[0]
    if len(narrowest.any_of) > _MOST_LOCKS:
        return (tokenizer.token(*type_keyword(query.type)),)
    found: list[int] = tokenizer.tokens(narrowest.any_of)
    return tuple(found)


def _address_conditions(type: str, known: Address, *, typed: bool) -> Iterator[Document]:
    """A token is one of a type already; the type itself would offer the database another index, and is `decided`."""
    yield {"type": type, "deleted": False} if typed else {"deleted": False}
    if known.ids is not None:
        yield {"_id": {"$in": sorted(f"{type}/{id}" for id in known.ids)}}
    if known.updated.low > BEGINNING:
        yield {"seq": {"$gte": known.updated.low}}
    if known.updated.high < END:
        yield {"seq": {"$lt": known.updated.high}}


def _also(group: Group, first: Group, tokenizer: Tokenizer) -> Document:
    """A group besides the first one.

    Where it may well be the narrower of the two the database tries both and takes the better. Where not, it is written
    so that no index serves it: each further way to be tried costs as much as the first (measured: half of the time).
    """
    tokens = tokenizer.tokens(group.any_of)
    if group.breadth <= first.breadth + 1 and len(tokens) <= MOST_KEYWORDS:
        return _any_of(tokens)
    return {"$nor": [{"tokens": {"$nin": tokens}}]}


def _any_of(tokens: list[int]) -> Document:
    return {"tokens": tokens[0] if len(tokens) == 1 else {"$in": tokens}}
