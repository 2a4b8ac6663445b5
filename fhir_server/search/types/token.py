"""Kind `token`: a code, an identifier, a flag, each perhaps within a system.

Codes are compared without regard to case, as R4 asks for when in doubt; systems are URIs and compared exactly.
https://hl7.org/fhir/R4/search.html#token
"""

from dataclasses import dataclass, replace

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.types.escapes import split, unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.token_text import TokenText
from fhir_server.search.types.token_values import READERS, TokenValue, telephone

_PLAIN_CODES = frozenset({"code", "boolean"})
_BREADTH_OF_IDENTIFIERS = 1
_PARTS_OF_TYPED = 3


@dataclass(frozen=True, slots=True)
class TokenIs:
    """`code` (system None), `system|code`, `|code` (system "") or `system|` (no codes).

    `codes` holds the code, and for a telephone number its digits too: either will do.
    """

    system: str | None
    codes: tuple[str, ...]
    breadth: int = 5

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        if self.codes:
            return (self.codes,)
        return ((f"{self.system}|",),) if self.breadth <= _BREADTH_OF_IDENTIFIERS else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, TokenValue) or (self.codes and value.code not in self.codes):
            return False
        return self.system is None or self.system == value.system or (value.fixed and bool(self.system and self.codes))


@dataclass(frozen=True, slots=True)
class TokenOfType:
    """`:of-type`: an identifier by the coding of its type, and its value."""

    system: str
    code: str
    value: str

    @property
    def breadth(self) -> int:
        return _BREADTH_OF_IDENTIFIERS

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ((self.value,),)

    def matches(self, value: Value) -> bool:
        return isinstance(value, TokenValue) and value.code == self.value and (self.system, self.code) in value.kinds


def parse(asked: Asked) -> Predicate:
    match asked.modifier:
        case "text":
            return TokenText.of(asked.parameter, unescape(asked.text))
        case "of-type":
            return _of_type(asked)
        case _:
            return predicate(asked)


def predicate(asked: Asked) -> TokenIs:
    """Raises InvalidRequestError for what has neither code nor system, and for a flag that is none."""
    parts = [unescape(part) for part in split(asked.text, "|")]
    if len(parts) > 2:  # noqa: PLR2004  system and code, that is all there is
        raise InvalidRequestError(f"A value of {asked.parameter} is code, system|code, |code or system|.")
    system = None if len(parts) == 1 else parts[0]
    code = parts[-1].strip().casefold()
    if not code and not system:
        raise InvalidRequestError(f"The value of {asked.parameter} holds neither a code nor a system.")
    if asked.types == {"boolean"} and code not in {"true", "false"}:
        raise InvalidRequestError(f"A value of {asked.parameter} is true or false.")
    digits = telephone(code) if "ContactPoint" in asked.types else None
    codes = tuple(dict.fromkeys(text for text in (code, digits) if text))
    return TokenIs(system, codes, _breadth(asked.types))


def identifier(asked: Asked) -> TokenIs:
    """An identifier that stands in a reference."""
    return predicate(replace(asked, types=frozenset({"Identifier"})))


def _of_type(asked: Asked) -> TokenOfType:
    parts = [unescape(part).strip() for part in split(asked.text, "|")]
    if len(parts) != _PARTS_OF_TYPED or not all(parts):
        raise InvalidRequestError(f"A value of {asked.parameter}:of-type is system|code|value; none may be empty.")
    system, code, value = parts
    return TokenOfType(system, code.casefold(), value.casefold())


def _breadth(types: frozenset[str]) -> int:
    if types and types <= {"Identifier", "ContactPoint", "id"}:
        return _BREADTH_OF_IDENTIFIERS
    return 9 if types and types <= _PLAIN_CODES else 5


_CODED = frozenset({"CodeableConcept", "Coding"})

TOKEN = Kind(
    "token",
    by_type(READERS),
    parse,
    {
        "text": _CODED | {"Identifier"},
        "of-type": frozenset({"Identifier"}),
        **dict.fromkeys(("above", "below", "in", "not-in"), _CODED),
    },
    negatable=True,
)
"""What definitions decide (`:below`, `:in` …) is not parsed here: it is looked up."""
