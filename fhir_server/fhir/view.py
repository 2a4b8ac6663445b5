"""How much of a resource a client wants to be shown: all of it, its summary, or some elements.

https://hl7.org/fhir/R4/search.html#summary, #elements
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.elements import CHOICE, children
from fhir_server.fhir.subset import SummaryMode, elements_of, summary
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json

PARAMETERS = frozenset({"_summary", "_elements"})

_NAME = re.compile(r"[A-Za-z]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class View:
    """Made with `with_parameter`, one for each parameter of the request."""

    summary: SummaryMode | None = None
    elements: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        return self.elements is None and self.summary in {None, "false"}

    def of(self, resource: Json) -> Json:
        """What is shown of a resource that this caller may see; the resource itself where all of it is."""
        if self.elements is not None:
            return elements_of(resource, self.elements)
        return summary(resource, self.summary or "false")

    def with_parameter(self, name: str, value: str) -> "View":
        """Raises InvalidRequestError for a value that is none, and for two parameters that exclude each other."""
        seen = replace(self, summary=_mode(value)) if name == "_summary" else replace(self, elements=_named(value))
        if (self.elements if name == "_elements" else self.summary) is not None:
            raise InvalidRequestError(f"{name} is given once.")
        if seen.elements is not None and seen.summary not in {None, "false"}:
            raise InvalidRequestError("_summary and _elements exclude each other: each says what is left out.")
        return seen


WHOLE = View()


def view_of(pairs: Sequence[tuple[str, str]]) -> View:
    """What the parameters of one request ask to be shown; others among them are none of its business."""
    view = WHOLE
    for name, value in pairs:
        if name in PARAMETERS and value:
            view = view.with_parameter(name, value)
    return view


def _mode(value: str) -> SummaryMode:
    match value:
        case "true" | "text" | "data" | "false":
            return value
        case "count":
            raise InvalidRequestError("_summary=count is for searches: there is nothing to count here.")
        case _:
            raise InvalidRequestError("_summary is true, text, data, count or false.")


def _named(value: str) -> frozenset[str]:
    """A misspelt name would look like an element without a value, so a name that no resource type has is refused."""
    names = frozenset(name.strip().removesuffix(CHOICE) for name in value.split(","))
    if not all(_NAME.fullmatch(name) for name in names):
        raise InvalidRequestError("_elements lists names of elements, separated by commas.")
    if not names <= _known():
        raise InvalidRequestError("_elements names an element that no resource type has.")
    return names


@cache
def _known() -> frozenset[str]:
    """Every type's elements, for a search may bring resources of other types along."""
    return frozenset({"resourceType", *(name for type_name in served_types() for name in children(type_name))})
