"""Query string -> tree.

Parameter names go through the list of those that R4 defines for the type, so a name never reaches the database.
https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search import results
from fhir_server.search.conditions import condition_of
from fhir_server.search.inclusions import include, is_include
from fhir_server.search.language import PLAIN, Language
from fhir_server.search.results import Shape, UnknownParameterError, shown
from fhir_server.search.sorts import sorts
from fhir_server.search.tree import Filter, Include, Query, Sort

MOST_PAIRS = 64
MOST_CHARACTERS = 8_192


def parse(type: str, pairs: Sequence[tuple[str, str]], language: Language = PLAIN, *, lenient: bool = False) -> Query:
    """The query that the pairs of a query string (or form body) ask for.

    Raises InvalidRequestError for an unknown parameter (with `lenient` it is left out and named in `ignored`), for a
    modifier that the parameter does not have, and for a value that is none.
    """
    if len(pairs) > MOST_PAIRS:
        raise TooCostlyError(f"A search has at most {MOST_PAIRS} parameters.")
    reading = _Reading(type, language, lenient)
    for name, value in pairs:
        if name not in results.FORMATTING:
            reading.take(name, value)
    return reading.query()


def _shapes(name: str) -> bool:
    return results.is_result_parameter(name) or name == "_sort" or is_include(name)


@dataclass(slots=True)
class _Reading:
    """What was understood so far."""

    type: str
    language: Language
    lenient: bool
    filters: list[Filter] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    sort: tuple[Sort, ...] = ()
    shape: Shape = field(default_factory=Shape)

    def take(self, name: str, value: str) -> None:
        if len(value) > MOST_CHARACTERS:
            raise TooCostlyError(f"The value of a search parameter has at most {MOST_CHARACTERS} characters.")
        try:
            understood = self._understood(name, value)
        except UnknownParameterError:
            if not self.lenient:
                raise
            self.ignored.append(shown(name))
            return
        if understood is not None:
            self.used.append((name, understood))

    def _understood(self, name: str, value: str) -> str | None:
        """The value as it was understood; None where it has no effect."""
        if not value:
            # An empty value is no criterion; the name is still to be one.
            return None if _shapes(name) else self._filter(name, value)
        if results.is_result_parameter(name):
            self.shape, value = results.shaped(self.shape, name, value)
        elif name == "_sort":
            self.sort = sorts((self.type,), value, self.language)
        elif is_include(name):
            self.includes.append(include(frozenset({self.type}), name, value))
        else:
            return self._filter(name, value)
        return value

    def _filter(self, name: str, value: str) -> str | None:
        condition = condition_of(self.type, name, value, self.language)
        if condition is None:
            return None
        self.filters.append(Filter(condition, (name, value)))
        return value

    def query(self) -> Query:
        return self.shape.of(
            Query(
                self.type,
                tuple(self.filters),
                sort=self.sort,
                includes=tuple(self.includes),
                used=tuple(self.used),
                ignored=tuple(self.ignored),
            )
        )
