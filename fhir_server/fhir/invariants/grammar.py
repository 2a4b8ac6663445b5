"""Compiles the text of an invariant: recursive descent straight into closures.

http://hl7.org/fhirpath/N1/grammar.html
"""

import re
from decimal import Decimal

from fhir_server.fhir.invariants.functions import FUNCTIONS, is_of
from fhir_server.fhir.invariants.navigation import child
from fhir_server.fhir.invariants.operators import LEVELS, between
from fhir_server.fhir.scope import Expression, Items, Scope

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*')
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[$%]?[A-Za-z_]\w*)
      | (?P<symbol><=|>=|!=|[=<>|&+().,]))""",
    re.VERBOSE | re.ASCII,
)
_CASTS = {"is", "as", "ofType"}
_VARIABLES = {
    "%resource": lambda _, scope: [scope.resource],
    "%rootResource": lambda _, scope: [scope.root],
    "%ucum": lambda _, __: ["http://unitsofmeasure.org"],
    "$this": lambda items, _: items,
    "true": lambda _, __: [True],
    "false": lambda _, __: [False],
}


class NotCompiledError(ValueError):
    """The expression holds what this grammar does not know."""


def compiled(text: str) -> Expression:
    grammar = _Grammar(text)
    expression = grammar.expression()
    if grammar.word:
        raise NotCompiledError(text)
    return expression


class _Grammar:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.word = ""
        self._kind = ""
        self._advance()

    def expression(self, level: int = 0) -> Expression:
        if level == len(LEVELS):
            return self._cast()
        left = self.expression(level + 1)
        while (combine := LEVELS[level].get(self.word)) is not None and self._kind != "text":
            self._advance()
            left = between(combine, left, self.expression(level + 1))
        return left

    def _cast(self) -> Expression:
        source = self._path()
        while self._kind == "name" and self.word in {"is", "as"}:
            source = self._of_type(self._advance(), self._advance(), source)
        return source

    def _path(self) -> Expression:
        source = self._term()
        while self._take("."):
            source = self._member(self._advance(), source)
        return source

    def _term(self) -> Expression:
        kind, word = self._kind, self._advance()
        if kind == "text":
            return _constant(re.sub(r"\\(.)", r"\1", word[1:-1]))
        if kind == "number":
            return _constant(Decimal(word) if "." in word else int(word))
        if word == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        if word in _VARIABLES:
            return _VARIABLES[word]
        if kind != "name" or word.startswith("%"):
            raise NotCompiledError(self._text)
        return _this if word[0].isupper() else self._member(word, _this)

    def _member(self, name: str, source: Expression) -> Expression:
        if not self._take("("):
            return child(name, source)
        if name in _CASTS:
            found = self._of_type(name, self._advance(), source)
            self._expect(")")
            return found
        if name not in FUNCTIONS:
            raise NotCompiledError(self._text)
        function, arguments = FUNCTIONS[name], self._arguments()
        return lambda items, scope: function(source(items, scope), arguments, scope)

    def _arguments(self) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self._take(")"):
            found.append(self.expression())
            self._take(",")
        return tuple(found)

    def _of_type(self, operator: str, type_name: str, source: Expression) -> Expression:
        fits = is_of(type_name)
        if operator == "is":
            return lambda items, scope: [fits(item) for item in source(items, scope)[:1]]
        return lambda items, scope: [item for item in source(items, scope) if fits(item)]

    def _take(self, word: str) -> bool:
        if self._kind == "text" or self.word != word:
            return False
        self._advance()
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise NotCompiledError(self._text)

    def _advance(self) -> str:
        """The token at hand; the next one takes its place, or an empty one at the end."""
        before = self.word
        match = _TOKEN.match(self._text, self._at)
        if match is None and self._text[self._at :].strip():
            raise NotCompiledError(self._text)
        self._kind, self.word = (str(match.lastgroup), match[match.lastgroup or 0]) if match else ("", "")
        self._at = match.end() if match else len(self._text)
        return before


def _this(items: Items, _: Scope) -> Items:
    return items


def _constant(value: str | int | Decimal) -> Expression:
    found: Items = [value]
    return lambda _, __: found
