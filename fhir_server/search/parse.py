"""Query string -> tree.

Parameter names go through the list of those that R4 defines for the type, so a name never reaches the database.
https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Sequence

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search import results
from fhir_server.search.conditions import condition_of
from fhir_server.search.language import PLAIN, Language
from fhir_server.search.results import Shape, UnknownParameterError, shown
from fhir_server.search.tree import Filter, Query

MOST_PAIRS = 64
MOST_CHARACTERS = 8_192


def parse(type: str, pairs: Sequence[tuple[str, str]], language: Language = PLAIN, *, lenient: bool = False) -> Query:
    """The query that the pairs of a query string (or form body) ask for.

    Raises InvalidRequestError for an unknown parameter (with `lenient` it is left out and named in `ignored`), for a
    modifier that the parameter does not have, and for a value that is none.
    """
    if len(pairs) > MOST_PAIRS:
        raise TooCostlyError(f"A search has at most {MOST_PAIRS} parameters.")
    filters: list[Filter] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    shape = Shape()
    for name, value in pairs:
        if name in results.FORMATTING:
            continue
        if len(value) > MOST_CHARACTERS:
            raise TooCostlyError(f"The value of a search parameter has at most {MOST_CHARACTERS} characters.")
        if results.is_result_parameter(name):
            if value:
                shape, understood = results.shaped(shape, name, value)
                used.append((name, understood))
            continue
        try:
            condition = condition_of(type, name, value, language)
        except UnknownParameterError:
            if not lenient:
                raise
            ignored.append(shown(name))
            continue
        if condition is not None:
            filters.append(Filter(condition, (name, value)))
            used.append((name, value))
    return shape.of(Query(type, tuple(filters), used=tuple(used), ignored=tuple(ignored)))
