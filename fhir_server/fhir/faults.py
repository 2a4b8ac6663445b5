"""A fault found in a resource, and where: the place is put together only when there is one.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.expression
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from fhir_server.fhir.scope import Scope
from fhir_server.kernel.errors import Issue
from fhir_server.kernel.json import Json

MOST_ISSUES = 100
"""How many faults one answer names."""


class Fault(NamedTuple):
    """`place` is relative to the element that was checked: `name[0].family`, or empty for the element itself.

    `says` never quotes a value or a name out of the resource.
    """

    place: str
    code: str
    says: str


Check: TypeAlias = Callable[[object, Json, Scope], "list[Fault] | None"]
"""A value, the object that holds it and the resource it is in -> its faults.

Nothing found is None, so that what is valid costs little.
"""


EMPTY = "ele-1: All FHIR elements must have a @value or children."
_OF_RULES = frozenset({"invariant", "invalid"})


def unsound(faults: Iterable[Fault]) -> bool:
    """Is one of the object's own properties at fault? Rules on the object would only say the same again."""
    return any("." not in each.place and (each.code not in _OF_RULES or each.says == EMPTY) for each in faults)


def fault(code: str, says: str, place: str = "") -> list[Fault]:
    return [Fault(place, code, says)]


def within(step: str, faults: Iterable[Fault]) -> list[Fault]:
    """The same faults as seen from the element above."""
    return [Fault(_joined(step, each.place), each.code, each.says) for each in faults]


def issues(root: str, faults: Iterable[Fault]) -> list[Issue]:
    found = [Issue(each.code, each.says, _joined(root, each.place)) for each in faults]
    return found[:MOST_ISSUES]


def _joined(above: str, below: str) -> str:
    return f"{above}.{below}" if below and below[0] != "[" else above + below
