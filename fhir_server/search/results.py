"""The parameters that shape a result and filter nothing: page size, order, totals, how much of each match is shown.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fhir_server.fhir.view import WHOLE, View
from fhir_server.kernel.errors import InvalidRequestError, Issue
from fhir_server.search.tree import MATCHES_PER_PAGE, MOST_MATCHES_PER_PAGE, Query, Sort

FORMATTING = frozenset({"_format", "_pretty"})
"""About the representation: read by the API, no part of the query and of its self link."""

UNSUPPORTED = frozenset(
    {
        "_contained",
        "_containedType",
        "_content",
        "_filter",
        "_has",
        "_include",
        "_list",
        "_query",
        "_revinclude",
        "_text",
        "_type",
    }
)
"""R4 has them, this server does not speak them yet. Never ignored: each would change which resources come back."""

_SORTS: Mapping[str, Sort] = {
    "_lastUpdated": Sort("_lastUpdated"),
    "-_lastUpdated": Sort("_lastUpdated", descending=True),
    "_id": Sort("_id"),
}
_MOST_DIGITS = 9
_INCLUDES = frozenset({"_include", "_revinclude"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What the result parameters of one request ask for."""

    sort: tuple[Sort, ...] = ()
    count: int = MATCHES_PER_PAGE
    counting: bool = False
    total: Literal["none", "estimate", "accurate"] | None = None
    view: View = WHOLE

    def of(self, query: Query) -> Query:
        """Raises InvalidRequestError where two of the parameters exclude each other."""
        if self.view.summary == "text" and any(name.partition(":")[0] in _INCLUDES for name, _ in query.used):
            raise InvalidRequestError("_summary=text does not go with _include or _revinclude.")
        shaped = replace(query, sort=self.sort, count=self.count, counting=self.counting, total=self.total)
        return replace(shaped, view=self.view) if self.view is not WHOLE else shaped


def is_result_parameter(name: str) -> bool:
    return name in {"_count", "_sort", "_total", "_summary", "_elements"}


def shaped(shape: Shape, name: str, value: str) -> tuple[Shape, str]:
    """The shape with one more parameter taken in, and the value as it was understood. Raises InvalidRequestError."""
    match name:
        case "_count":
            return _count(shape, value)
        case "_sort":
            return replace(shape, sort=_sort(value)), value
        case "_total":
            return _total(shape, value), value
        case "_summary" if value == "count":
            return replace(shape, counting=True), value
        case _:
            return replace(shape, view=shape.view.with_parameter(name, value)), value


def _count(shape: Shape, value: str) -> tuple[Shape, str]:
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
        raise InvalidRequestError("_count is a whole number, not negative.")
    count = min(int(value), MOST_MATCHES_PER_PAGE)
    if count == 0:
        return replace(shape, counting=True), "0"
    return replace(shape, count=count), str(count)


def _sort(value: str) -> tuple[Sort, ...]:
    keys = value.split(",")
    if not all(key in _SORTS for key in keys):
        raise not_supported("_sort takes _lastUpdated, -_lastUpdated or _id.")
    return tuple(_SORTS[key] for key in dict.fromkeys(keys))


def _total(shape: Shape, value: str) -> Shape:
    match value:
        case "none" | "estimate" | "accurate":
            return replace(shape, total=value)
        case _:
            raise InvalidRequestError("_total is none, estimate or accurate.")


def not_supported(diagnostics: str) -> InvalidRequestError:
    return InvalidRequestError(issues=(Issue("not-supported", diagnostics),))
