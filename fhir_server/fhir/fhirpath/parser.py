"""Turns tokens into nodes: recursive descent, one method per level of precedence.

http://hl7.org/fhirpath/N1/#operator-precedence
"""

from decimal import Decimal

from fhir_server.fhir.fhirpath.lexer import Token, tokens
from fhir_server.fhir.fhirpath.syntax import (
    And,
    Equal,
    Function,
    Index,
    Is,
    Literal,
    Name,
    Node,
    OfType,
    PathError,
    Root,
    Union,
)

_MOST_NESTING = 32
_CASTS = frozenset({"as", "ofType"})


def parse(expression: str) -> Node:
    """The one node that the expression is. Raises PathError."""
    parser = _Parser(tokens(expression))
    node = parser.conjunction()
    parser.expect("end")
    return node


class _Parser:
    def __init__(self, found: tuple[Token, ...]) -> None:
        self._tokens = found
        self._next = 0
        self._nesting = 0

    def conjunction(self) -> Node:
        node = self._equality()
        while self._take("name", "and"):
            node = And(node, self._equality())
        return node

    def _equality(self) -> Node:
        node = self._union()
        while True:
            if self._take("symbol", "="):
                node = Equal(node, self._union(), negated=False)
            elif self._take("symbol", "!="):
                node = Equal(node, self._union(), negated=True)
            else:
                return node

    def _union(self) -> Node:
        node = self._typed()
        while self._take("symbol", "|"):
            node = Union(node, self._typed())
        return node

    def _typed(self) -> Node:
        node = self._path()
        while True:
            if self._take("name", "is"):
                node = Is(node, self._type())
            elif self._take("name", "as"):
                node = OfType(node, self._type())
            else:
                return node

    def _path(self) -> Node:
        node = self._start()
        while True:
            if self._take("symbol", "."):
                node = self._member(node)
            elif self._take("symbol", "["):
                node = Index(node, int(self.expect("number").text))
                self.expect("symbol", "]")
            else:
                return node

    def _start(self) -> Node:
        if self._take("symbol", "("):
            node = self._nested()
            self.expect("symbol", ")")
            return node
        if found := self._take("string"):
            return Literal(found.text)
        if found := self._take("number"):
            return Literal(Decimal(found.text) if "." in found.text else int(found.text))
        if found := self._take("variable"):
            if found.text != "%resource":
                raise PathError("%resource is the only variable that this subset of FHIRPath knows.")
            return Root()
        for text, value in (("true", True), ("false", False)):
            if self._take("name", text):
                return Literal(value)
        return self._member(None)

    def _member(self, source: Node | None) -> Node:
        name = self.expect("name").text
        if not self._take("symbol", "("):
            return Name(name, source)
        if name in _CASTS or name == "is":
            node = self._type_function(name, source)
        else:
            node = Function(name, self._arguments(), source)
        self.expect("symbol", ")")
        return node

    def _type_function(self, name: str, source: Node | None) -> Node:
        if source is None:
            raise PathError(f"{name}() needs something before it.")
        return OfType(source, self._type()) if name in _CASTS else Is(source, self._type())

    def _arguments(self) -> tuple[Node, ...]:
        if self._peek("symbol", ")"):
            return ()
        found = [self._nested()]
        while self._take("symbol", ","):
            found.append(self._nested())
        return tuple(found)

    def _nested(self) -> Node:
        self._nesting += 1
        if self._nesting > _MOST_NESTING:
            raise PathError(f"The expression nests deeper than {_MOST_NESTING} levels.")
        node = self.conjunction()
        self._nesting -= 1
        return node

    def _type(self) -> str:
        """`Patient`, `FHIR.Patient` or `System.String`: the last part names the type."""
        name = self.expect("name").text
        return self.expect("name").text if self._take("symbol", ".") else name

    def _peek(self, kind: str, text: str | None = None) -> bool:
        token = self._tokens[self._next]
        return token.kind == kind and text in {None, token.text}

    def _take(self, kind: str, text: str | None = None) -> Token | None:
        if not self._peek(kind, text):
            return None
        self._next += 1
        return self._tokens[self._next - 1]

    def expect(self, kind: str, text: str | None = None) -> Token:
        token = self._take(kind, text)
        if token is None:
            raise PathError(f"At character {self._tokens[self._next].at + 1} there should be {text or kind}.")
        return token
