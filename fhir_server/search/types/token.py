"""Kind `token`: a code, an identifier, a flag, each perhaps within a system.

Codes are compared without regard to case, as R4 asks for when in doubt; systems are URIs and compared exactly.
https://hl7.org/fhir/R4/search.html#token
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types.escapes import split, unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type

_TELEPHONES = frozenset({"phone", "fax", "sms", "pager"})
_BETWEEN_DIGITS = re.compile(r"[\s().\-/]+")
_TELEPHONE = re.compile(r"\+?[0-9]{3,}", re.ASCII)
_PLAIN_CODES = frozenset({"code", "boolean"})


class TokenValue(NamedTuple):
    """A code, case folded, and its system, "" where there is none.

    `fixed`: the definition of the element gives the system, so it is not stored, and one in a query can only repeat it.
    """

    system: str
    code: str
    fixed: bool = False
    identifier: bool = False

    def keywords(self) -> Sequence[str]:
        """The code alone, because the system seldom tells two equal codes of one parameter apart.

        Identifiers have their system too, so that one domain's records can be listed.
        """
        if self.identifier and self.system:
            return (self.code, f"{self.system}|") if self.code else (f"{self.system}|",)
        return (self.code,) if self.code else ()


@dataclass(frozen=True, slots=True)
class TokenIs:
    """`code` (system None), `system|code`, `|code` (system "") or `system|` (no codes).

    `codes` holds the code, and for a telephone number its digits too: either will do.
    """

    system: str | None
    codes: tuple[str, ...]
    breadth: int = 4

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        if self.codes:
            return (self.codes,)
        return ((f"{self.system}|",),) if self.breadth <= _BREADTH_OF_IDENTIFIERS else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, TokenValue) or (self.codes and value.code not in self.codes):
            return False
        return self.system is None or self.system == value.system or (value.fixed and bool(self.system and self.codes))


_BREADTH_OF_IDENTIFIERS = 1


def parse(asked: Asked) -> Predicate:
    return predicate(asked)


def predicate(asked: Asked) -> TokenIs:
    """Raises InvalidRequestError for what has neither code nor system."""
    parts = [unescape(part) for part in split(asked.text, "|")]
    if len(parts) > 2:  # noqa: PLR2004  system and code, that is all there is
        raise InvalidRequestError(f"A value of {asked.parameter} is code, system|code, |code or system|.")
    system = None if len(parts) == 1 else parts[0]
    code = parts[-1].strip().casefold()
    if not code and not system:
        raise InvalidRequestError(f"The value of {asked.parameter} holds neither a code nor a system.")
    digits = telephone(code) if "ContactPoint" in asked.types else None
    codes = tuple(dict.fromkeys(text for text in (code, digits) if text))
    return TokenIs(system, codes, _breadth(asked.types))


def _breadth(types: frozenset[str]) -> int:
    if types and types <= {"Identifier", "ContactPoint", "id"}:
        return _BREADTH_OF_IDENTIFIERS
    return 9 if types and types <= _PLAIN_CODES else 4


def telephone(text: str) -> str | None:
    """A number without the marks that people set between its digits; None for what is no telephone number."""
    bare = _BETWEEN_DIGITS.sub("", text)
    return bare if _TELEPHONE.fullmatch(bare) else None


def _within(item: Json, code_name: str) -> tuple[str, str]:
    system, code = item.get("system"), item.get(code_name)
    return system if isinstance(system, str) else "", code.strip().casefold() if isinstance(code, str) else ""


def _coding(item: Json) -> Sequence[TokenValue]:
    system, code = _within(item, "code")
    return (TokenValue(system, code),) if system or code else ()


def _concept(item: Json) -> Sequence[Value]:
    codings = item.get("coding")
    if not isinstance(codings, list):
        return ()
    return [value for coding in codings if isinstance(coding, dict) for value in _coding(coding)]


def identifier(item: Json) -> Sequence[TokenValue]:
    """An Identifier; also the one inside a Reference."""
    system, code = _within(item, "value")
    return (TokenValue(system, code, identifier=True),) if system or code else ()


def _contact(item: Json) -> Sequence[Value]:
    kind, code = _within(item, "value")
    return (TokenValue("", telephone(code) or code if kind in _TELEPHONES else code),) if code else ()


def _text(item: object) -> Sequence[Value]:
    return (TokenValue("", item.strip().casefold()),) if isinstance(item, str) else ()


def _code(item: object) -> Sequence[Value]:
    return (TokenValue("", item.casefold(), fixed=True),) if isinstance(item, str) else ()


def _flag(item: object) -> Sequence[Value]:
    return (TokenValue("", "true" if item else "false", fixed=True),) if isinstance(item, bool) else ()


TOKEN = Kind(
    "token",
    by_type(
        {
            "CodeableConcept": _concept,
            "Coding": _coding,
            "Identifier": identifier,
            "ContactPoint": _contact,
            "code": _code,
            "boolean": _flag,
            "string": _text,
            "id": _text,
            "uri": _text,
        }
    ),
    parse,
    negatable=True,
)
