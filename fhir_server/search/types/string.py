"""Kind `string`: the beginning of a text, folded; `:exact` and `:contains` on request.

https://hl7.org/fhir/R4/search.html#string
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache, partial
from itertools import islice
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import ranks
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.folding import fold
from fhir_server.search.types.kind import ANY_TYPE, MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Reader, Value

_PREFIXES = (6, 4, 3, 2)
_BREADTHS = (9, 9, 6, 5, 4, 4, 3)
"""By the length of a beginning."""

_WORD = re.compile(r"[\s\-]+")
_MOST_WORDS, _LONGEST_START = 50, 200
PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}
"""The texts of which a name and an address consist, as far as they are searched."""


class StringValue(NamedTuple):
    """A text as it is and folded. `starts`: the folded whole, and what is left of a name from each later word on."""

    text: str
    starts: tuple[str, ...]

    def keywords(self) -> Sequence[str]:
        found = ["=" + self.starts[0]]
        for start in self.starts:
            found.extend([start[:length] for length in _PREFIXES if len(start) >= length])
        return found

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.text(self.starts[0])


@dataclass(frozen=True, slots=True)
class StringStarts:
    """The default: the value, or a word of a name, begins so."""

    prefix: str

    @property
    def breadth(self) -> int:
        return _BREADTHS[min(len(self.prefix), len(_BREADTHS) - 1)]

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return next(((((self.prefix[:length]),),) for length in _PREFIXES if len(self.prefix) >= length), ())

    def matches(self, value: Value) -> bool:
        return isinstance(value, StringValue) and any(start.startswith(self.prefix) for start in value.starts)


@dataclass(frozen=True, slots=True)
class StringIs:
    """`:exact`: the whole text, case and accents included."""

    text: str

    @property
    def breadth(self) -> int:
        return 2

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return (("=" + fold(self.text),),)

    def matches(self, value: Value) -> bool:
        return isinstance(value, StringValue) and value.text == self.text


@dataclass(frozen=True, slots=True)
class StringContains:
    """`:contains`: anywhere in the folded text. Nothing is stored for it: other criteria have to narrow the search."""

    part: str

    @property
    def breadth(self) -> int:
        return 9

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ()

    def matches(self, value: Value) -> bool:
        return isinstance(value, StringValue) and self.part in value.starts[0]


def parse(asked: Asked) -> Predicate:
    text = unescape(asked.text)
    folded = fold(text)
    if not folded:
        raise InvalidRequestError(f"The value of {asked.parameter} holds nothing to search for.")
    if asked.modifier == "exact":
        return StringIs(text)
    return StringContains(folded) if asked.modifier == "contains" else StringStarts(folded)


def _plain(item: object) -> Sequence[Value]:
    if not isinstance(item, str) or not (folded := fold(item)):
        return ()
    return (StringValue(item, (folded,)),)


def _name(item: object) -> Sequence[Value]:
    if not isinstance(item, str):
        return ()
    return _remembered_name(item) if len(item) <= _LONGEST_REMEMBERED else _read_name(item)


def _read_name(text: str) -> Sequence[Value]:
    """A double surname is found by either part, `van der Berg` by `Berg`, an endless text by its first words."""
    folded = fold(text)
    if not folded:
        return ()
    later = islice((gap.end() for gap in _WORD.finditer(folded) if gap.end() < len(folded)), _MOST_WORDS)
    return (StringValue(text, (folded, *(folded[start : start + _LONGEST_START] for start in later))),)


_LONGEST_REMEMBERED = 100
_remembered_name = lru_cache(maxsize=20_000)(_read_name)
"""Names repeat, and one is read again for each search that meets it."""


def _parts(names: tuple[str, ...], reader: Reader, item: Json) -> Sequence[Value]:
    found: list[Value] = []
    for name in names:
        part = item.get(name)
        for text in part if isinstance(part, list) else (part,):
            found.extend(reader(text))
    return found


_TYPES = frozenset({"string", "markdown", "code", "id", "uri", "url", "canonical"})


def _reader(type_name: str, owner: str) -> Reader | None:
    if type_name == "HumanName":
        return partial(_parts, PARTS[type_name], _name)
    if type_name == "Address":
        return partial(_parts, PARTS[type_name], _plain)
    if type_name not in _TYPES:
        return None
    return _name if owner == "HumanName" else _plain


STRING = Kind("string", _reader, parse, {"exact": ANY_TYPE, "contains": ANY_TYPE})
