"""`:text` of a token: the words that stand beside a code, in `text` and `display`.

https://hl7.org/fhir/R4/search.html#token: the search parameter is processed as a string.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types.folding import fold
from fhir_server.search.types.kind import MOST_KEYWORDS, Cover, Value

_NO_WORD = re.compile(r"[^\w]+")


class TextValue(NamedTuple):
    """The texts beside one concept, as they are."""

    texts: tuple[str, ...]

    def keywords(self) -> Sequence[str]:
        """None: one opens what the other criteria leave."""
        return ()

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class TokenText:
    """A text begins with these words, or from a later word on it does. Marks between words do not count."""

    words: str

    @classmethod
    def of(cls, parameter: str, text: str) -> "TokenText":
        words = _words(text)
        if not words:
            raise InvalidRequestError(f"The value of {parameter}:text holds nothing to search for.")
        return cls(words)

    @property
    def breadth(self) -> int:
        return 9

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ()

    def matches(self, value: Value) -> bool:
        return isinstance(value, TextValue) and any(f" {self.words}" in f" {_words(text)}" for text in value.texts)


def texts(concept: Json) -> tuple[str, ...]:
    """`text` of a CodeableConcept and `display` of its codings."""
    codings = concept.get("coding")
    found = [concept.get("text")]
    if isinstance(codings, list):
        found += [coding.get("display") for coding in codings if isinstance(coding, dict)]
    return tuple(dict.fromkeys([text for text in found if isinstance(text, str) and text]))


def words_of(text: str) -> list[str]:
    return _words(text).split()


def _words(text: str) -> str:
    return _NO_WORD.sub(" ", fold(text)).strip()
