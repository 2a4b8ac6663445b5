"""Searches of several types: of the whole system, of a compartment, with `_type`.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html#vs-search
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from fhir_server.fhir.definitions import compartments, served_types
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.language import Language
from fhir_server.search.parse import Pairs, parse_all
from fhir_server.search.results import shown
from fhir_server.search.tree import Filter, InCompartment, Query

TYPE = "_type"
ANY = "*"
_APART = frozenset({"AuditEvent"})
"""The log is searched where it is named, and not along with everything else."""


@dataclass(frozen=True, slots=True)
class Several:
    """A query of each type, in the order of their names. `named`: the client said which types it means."""

    queries: tuple[Query, ...]
    named: bool


def everywhere(pairs: Pairs, language: Language, *, lenient: bool) -> Several:
    """A search of the system: of the types in `_type`, or of all."""
    return _parsed(served_types(), pairs, language, lenient=lenient)


def compartment(focus: str, id: str, member: str, pairs: Pairs, language: Language, *, lenient: bool) -> Several:
    """`Patient/7/Observation`, or `Patient/7/*` with or without `_type`.

    Raises InvalidRequestError for a type that never lies there: a search of it would find nothing, or too much.
    """
    members = frozenset(type for type in served_types() if focus in compartments(type) or type == focus)
    if member != ANY and member not in members:
        raise InvalidRequestError(f"{member} lies in no compartment of a {focus}. What does: {_listing(members)}.")
    lies_in = Filter(InCompartment(f"{focus}/{id}"), ("", ""))
    if member == ANY:
        found = _parsed(members, pairs, language, lenient=lenient)
    else:
        found = Several(parse_all((member,), pairs, language, lenient=lenient), named=True)
    inside = tuple(replace(query, filters=(lies_in, *query.filters)) for query in found.queries)
    return Several(inside, found.named)


def _parsed(types: Collection[str], pairs: Pairs, language: Language, *, lenient: bool) -> Several:
    asked = [value for name, value in pairs if name == TYPE and value]
    others = [(name, value) for name, value in pairs if name != TYPE]
    if len(asked) > 1:
        raise InvalidRequestError(f"{TYPE} is given once: types with commas between them.")
    named = sorted(set(asked[0].split(","))) if asked else sorted(set(types) - _APART)
    strangers = [type for type in named if type not in types]
    if strangers:
        raise InvalidRequestError(f"{TYPE} names {shown(strangers[0])}. It takes: {_listing(types)}.")
    queries = parse_all(named, others, language, lenient=lenient)
    used = ((TYPE, asked[0]),) if asked else ()
    return Several(tuple(replace(query, used=(*used, *query.used)) for query in queries), named=bool(asked))


def _listing(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
