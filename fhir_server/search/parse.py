"""Query string -> tree.

Parameter names go through the list of those that R4 defines for the type, so a name never reaches the database.
https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search import results
from fhir_server.search.conditions import condition_of
from fhir_server.search.inclusions import include, is_include
from fhir_server.search.language import PLAIN, Language
from fhir_server.search.results import Shape, UnknownParameterError, shown
from fhir_server.search.sorts import sorts
from fhir_server.search.tree import Filter, Include, Query, Sort

Pairs: TypeAlias = Sequence[tuple[str, str]]

MOST_PAIRS = 64
MOST_CHARACTERS = 8_192


def parse(type: str, pairs: Pairs, language: Language = PLAIN, *, lenient: bool = False) -> Query:
    """The query that the pairs of a query string (or form body) ask for.

    Raises InvalidRequestError for an unknown parameter (with `lenient` it is left out and named in `ignored`), for a
    modifier that the parameter does not have, and for a value that is none.
    """
    (query,) = parse_all((type,), pairs, language, lenient=lenient)
    return query


def parse_all(
    types: Sequence[str], pairs: Pairs, language: Language = PLAIN, *, lenient: bool = False
) -> tuple[Query, ...]:
    """The same of several types at once: a query of each, of parameters that all of them have."""
    if len(pairs) > MOST_PAIRS:
        raise TooCostlyError(f"A search has at most {MOST_PAIRS} parameters.")
    readings = [_Reading(type, types, language) for type in types]
    ignored: list[str] = []
    for name, value in pairs:
        if name in results.FORMATTING:
            continue
        if len(value) > MOST_CHARACTERS:
            raise TooCostlyError(f"The value of a search parameter has at most {MOST_CHARACTERS} characters.")
        try:
            taken = [reading.taking(name, value) for reading in readings]
        except UnknownParameterError:
            if not lenient:
                raise
            ignored.append(shown(name))
        else:
            readings = taken
    return tuple(reading.query(tuple(ignored)) for reading in readings)


def _shapes(name: str) -> bool:
    return results.is_result_parameter(name) or name == "_sort" or is_include(name)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was understood so far, for one of the types."""

    type: str
    types: Sequence[str]
    language: Language
    filters: tuple[Filter, ...] = ()
    includes: tuple[Include, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    sort: tuple[Sort, ...] = ()
    shape: Shape = field(default_factory=Shape)

    def taking(self, name: str, value: str) -> "_Reading":
        """With one more parameter. An empty value is no criterion; the name is still to be one."""
        if not _shapes(name):
            condition = condition_of(self.type, name, value, self.language)
            if condition is None:
                return self
            return self._using(name, value, filters=(*self.filters, Filter(condition, (name, value))))
        if not value:
            return self
        if results.is_result_parameter(name):
            shape, understood = results.shaped(self.shape, name, value)
            return self._using(name, understood, shape=shape)
        if name == "_sort":
            return self._using(name, value, sort=sorts(self.types, value, self.language))
        found = include(frozenset(self.types), name, value, self.language.registry)
        return self._using(name, value, includes=(*self.includes, found))

    def _using(self, name: str, value: str, **changes: Any) -> "_Reading":  # noqa: ANN401  whatever field it changes
        return replace(self, used=(*self.used, (name, value)), **changes)

    def query(self, ignored: tuple[str, ...]) -> Query:
        found = Query(
            self.type,
            self.filters,
            sort=self.sort,
            includes=self.includes,
            used=self.used,
            ignored=ignored,
            registry=self.language.registry,
        )
        return self.shape.of(found)
