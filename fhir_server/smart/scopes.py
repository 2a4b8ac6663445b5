"""SMART scopes as values: what a granted string lets its holder do.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.search.tree import Condition
from fhir_server.smart.granular import ANY_TYPE, limits

_V2 = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?)(?:\?(.*))?")
_V1 = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*)")
_V1_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}

NOT_UNDER_STAR = frozenset({"AuditEvent"})
"""Types that `*` does not open: the log has its own scope (IHE BALP; a wildcard must not open it by accident)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`letters` is a subset of `cruds`; `type` a resource type or `*`; `limits` what a resource has to meet."""

    context: str
    type: str
    letters: str
    limits: tuple[Condition, ...] = ()

    def covers(self, letter: str, type: str) -> bool:
        return letter in self.letters and (self.type == type or (self.type == ANY_TYPE and type not in NOT_UNDER_STAR))


def parse(text: str) -> Scope | None:
    """One scope. v1 words are matched whole before letters; None for what grants no access to resources."""
    v1 = _V1.fullmatch(text)
    if v1:
        return Scope(v1[1], v1[2], _V1_LETTERS[v1[3]])
    v2 = _V2.fullmatch(text)
    if v2 is None or not v2[3]:
        return None
    if v2[4] is None:
        return Scope(v2[1], v2[2], v2[3])
    limited = limits(v2[2], v2[4])
    return Scope(v2[1], v2[2], v2[3], limited) if limited else None


@lru_cache(maxsize=1024)
def parse_all(texts: tuple[str, ...]) -> tuple[Scope, ...]:
    return tuple(scope for text in texts if (scope := parse(text)))
