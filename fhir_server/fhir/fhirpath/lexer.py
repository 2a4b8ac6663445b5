"""Cuts an expression into tokens.

http://hl7.org/fhirpath/N1/#lexical-elements
"""

import re
from typing import NamedTuple

from fhir_server.fhir.fhirpath.syntax import PathError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<variable>%[A-Za-z]+)
      | (?P<string>'(?:[^'\\]|\\['\\/"`])*')
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<symbol>!=|[=|().,\[\]])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)")

MOST_CHARACTERS = 10_000


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def tokens(expression: str) -> tuple[Token, ...]:
    """The tokens without white space, closed by one of kind `end`."""
    if len(expression) > MOST_CHARACTERS:
        raise PathError(f"The expression is longer than {MOST_CHARACTERS} characters.")
    found: list[Token] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise PathError(f"Character {at + 1} begins nothing that this subset of FHIRPath knows.")
        kind = str(match.lastgroup)
        if kind == "string":
            found.append(Token(kind, _ESCAPE.sub(r"\1", match[0][1:-1]), at))
        elif kind != "space":
            found.append(Token(kind, match[0], at))
        at = match.end()
    return (*found, Token("end", "", at))
