"""What of the scopes that are asked for a client may have: never more than both the request and its registration say.

RFC 6749 section 3.3; R-SMART-032, -033, -039, -045, -053, -062, -065, R-BULK-037. What a scope lets its holder do is
`smart.scopes`' to say; a scope that it does not understand is not granted.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fhir_server.fhir.definitions import served_types
from fhir_server.smart.scopes import NOT_UNDER_STAR, parse

LAUNCHES = "ehr/launch"
"""The scope with which an EHR makes launch handles."""

INTROSPECTS = "introspect"
"""The scope with which a resource server asks about tokens of any client."""

OF_PEOPLE = frozenset(
    {"openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access"}
)
OF_BACKENDS = frozenset({LAUNCHES, INTROSPECTS})

_PARTS = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(?:\?(.+))?", re.DOTALL)
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_V1_WORDS = {letters: word for word, letters in _V1.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource scope taken apart. `query` is as it was spelt, `limits` what it means."""

    context: str
    type: str
    letters: str
    query: str
    limits: frozenset[tuple[str, str]]
    v1: bool

    @property
    def text(self) -> str:
        word = _V1_WORDS.get(self.letters) if self.v1 else None
        return f"{self.context}/{self.type}.{word or self.letters}{f'?{self.query}' if self.query else ''}"


def wanted(text: str) -> Wanted | None:
    """None for what is no resource scope, names no type that is served, or is not understood here."""
    found = _PARTS.fullmatch(text)
    if found is None or parse(text) is None or (found[2] != "*" and found[2] not in served_types()):
        return None
    query = found[4] or ""
    limits = frozenset(parse_qsl(query, keep_blank_values=True))
    return Wanted(found[1], found[2], _V1.get(found[3], found[3]), query, limits, found[3] in _V1)


def covered(asked: str, by: Iterable[str]) -> bool:
    """Does nothing of what is asked for go beyond these scopes, which unite?"""
    if asked in (known := tuple(by)):
        return True
    one = wanted(asked)
    return one is not None and set(one.letters) == set(_letters(one, known))


def for_person(asked: Iterable[str], registered: Sequence[str]) -> tuple[str, ...]:
    """For an app that a person uses: what is too wide is narrowed, what is unknown or of backends is left out."""
    granted: list[str] = []
    for text in asked:
        if text in OF_PEOPLE and text in registered:
            granted.append(text)
        one = wanted(text)
        if one is not None and one.context != "system":
            granted += [text] if covered(text, registered) else _narrowed(one, registered)
    return tuple(dict.fromkeys(granted))


def for_backend(asked: Sequence[str], registered: Sequence[str]) -> tuple[str, ...] | None:
    """For a client that acts for nobody: each scope as asked, `*` narrowed to the registered types; else None.

    A token with fewer letters than asked for would surprise its holder later.
    """
    granted: list[str] = []
    for text in asked:
        one = wanted(text)
        if (text in OF_BACKENDS and text in registered) or (
            one and one.context == "system" and covered(text, registered)
        ):
            granted.append(text)
            continue
        if one is None or one.context != "system" or one.type != "*":
            return None
        parts = [part for part in _narrowed(one, registered) if set(one.letters) <= set(_of(part).letters)]
        if not parts:
            return None
        granted += parts
    return tuple(dict.fromkeys(granted)) or None


def _of(text: str) -> Wanted:
    one = wanted(text)
    assert one is not None, "a narrowed scope is a scope"
    return one


def _letters(one: Wanted, registered: Iterable[str]) -> str:
    """Those of its letters that some registered scope gives for all that it asks."""
    wider = [
        known
        for text in registered
        if (known := wanted(text))
        and known.context == one.context
        and _under(known.type, one.type)
        and known.limits <= one.limits
    ]
    return "".join(letter for letter in one.letters if any(letter in known.letters for known in wider))


def _narrowed(one: Wanted, registered: Iterable[str]) -> list[str]:
    """What it has in common with each registered scope."""
    found = []
    for text in registered:
        known = wanted(text)
        if known is None or known.context != one.context:
            continue
        if not (_under(known.type, one.type) or _under(one.type, known.type)):
            continue
        letters = "".join(letter for letter in one.letters if letter in known.letters)
        if letters:
            type = known.type if one.type == "*" else one.type
            query = "&".join(dict.fromkeys(part for part in (one.query, known.query) if part))
            found.append(Wanted(one.context, type, letters, query, one.limits | known.limits, one.v1).text)
    return found


def _under(wide: str, type: str) -> bool:
    return wide == type or (wide == "*" and type not in NOT_UNDER_STAR)
