"""SMART scopes as values: what a granted string lets its holder do.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

_V2 = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?)")
_V1 = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*)")
_V1_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}

NOT_UNDER_STAR = frozenset({"AuditEvent"})
"""Types that `*` does not open: the log has its own scope (IHE BALP; a wildcard must not open it by accident)."""


class Reach(Enum):
    """How far a scope carries."""

    NONE = "none"
    PATIENT = "the compartment of the patient in context"
    ALL = "all that the holder may see"


@dataclass(frozen=True, slots=True)
class Scope:
    """`letters` is a subset of `cruds`; `type` a resource type or `*`."""

    context: str
    type: str
    letters: str

    def covers(self, letter: str, type: str) -> bool:
        return letter in self.letters and (self.type == type or (self.type == "*" and type not in NOT_UNDER_STAR))


def parse(text: str) -> Scope | None:
    """One scope. v1 words are matched whole before letters; None for what grants no access to resources.

    A granular scope (`?category=…`) is None as well: read as the whole type it would grant more than was asked.
    """
    v1 = _V1.fullmatch(text)
    if v1:
        return Scope(v1[1], v1[2], _V1_LETTERS[v1[3]])
    v2 = _V2.fullmatch(text)
    return Scope(v2[1], v2[2], v2[3]) if v2 and v2[3] else None


@lru_cache(maxsize=1024)
def parse_all(texts: tuple[str, ...]) -> tuple[Scope, ...]:
    return tuple(scope for text in texts if (scope := parse(text)))


def reach(scopes: Iterable[Scope], letter: str, type: str) -> Reach:
    """Scopes unite: the widest that covers the letter on the type. No scope means nothing."""
    contexts = {scope.context for scope in scopes if scope.covers(letter, type)}
    if contexts & {"system", "user"}:
        return Reach.ALL
    return Reach.PATIENT if contexts else Reach.NONE
