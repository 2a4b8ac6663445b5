"""The parameters that shape a result and filter nothing: page size, totals, how much of each match is shown.

https://hl7.org/fhir/R4/search.html#return
"""

from dataclasses import dataclass, replace
from typing import Literal

from fhir_server.fhir.view import WHOLE, View
from fhir_server.kernel.errors import InvalidRequestError, Issue
from fhir_server.search.tree import MATCHES_PER_PAGE, MOST_MATCHES_PER_PAGE, Query

FORMATTING = frozenset({"_format", "_pretty"})
"""About the representation: read by the API, no part of the query and of its self link."""

UNSUPPORTED = frozenset(
    {
        "_contained",
        "_containedType",
        "_content",
        "_filter",
        "_query",
        "_text",
        "_type",
    }
)
"""R4 has them, this server does not speak them yet. Never ignored: each would change which resources come back."""

_MOST_DIGITS = 9
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """What the result parameters of one request ask for."""

    count: int = MATCHES_PER_PAGE
    counting: bool = False
    total: Literal["none", "estimate", "accurate"] | None = None
    view: View = WHOLE

    def of(self, query: Query) -> Query:
        """Raises InvalidRequestError where two of the parameters exclude each other."""
        if self.view.summary == "text" and query.includes:
            raise InvalidRequestError("_summary=text does not go with _include or _revinclude.")
        shaped = replace(query, count=self.count, counting=self.counting, total=self.total)
        return replace(shaped, view=self.view) if self.view is not WHOLE else shaped


def is_result_parameter(name: str) -> bool:
    return name in {"_count", "_total", "_summary", "_elements"}


def shaped(shape: Shape, name: str, value: str) -> tuple[Shape, str]:
    """The shape with one more parameter taken in, and the value as it was understood. Raises InvalidRequestError."""
    match name:
        case "_count":
            return _count(shape, value)
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


def _total(shape: Shape, value: str) -> Shape:
    match value:
        case "none" | "estimate" | "accurate":
            return replace(shape, total=value)
        case _:
            raise InvalidRequestError("_total is none, estimate or accurate.")


class UnknownParameterError(InvalidRequestError):
    """A name that is none. A lenient client has the parameter left out; any other is told the known ones."""


def shown(name: str) -> str:
    """What a client sent as a name, fit to be sent back."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN])


def not_supported(diagnostics: str) -> InvalidRequestError:
    return InvalidRequestError(issues=(Issue("not-supported", diagnostics),))
