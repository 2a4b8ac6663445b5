"""Keywords for the middle of a text: `:contains` and `:text` on parameters that a clinic chose to be found so.

sealed-storage section 2: trigrams, opt-in per parameter. They cost some twenty tokens a text and tell more of it.
"""

from collections.abc import Sequence

from fhir_server.search.types.kind import Cover, Predicate, Value
from fhir_server.search.types.string import StringContains, StringValue
from fhir_server.search.types.token_text import TextValue, TokenText, words_of

_LENGTH = 3
_MARK = "~"
"""Before such a keyword, so that the middle of a text is not taken for the beginning of another."""

_MOST_LOOKED_UP = 4


def inside_keywords(value: Value) -> Sequence[str]:
    match value:
        case StringValue(_, starts):
            return [_MARK + each for each in _trigrams(starts[0])]
        case TextValue(texts):
            words = {word for text in texts for word in words_of(text)}
            return [_MARK + word[:_LENGTH] for word in words if len(word) >= _LENGTH]
        case _:
            return ()


def inside_cover(predicate: Predicate) -> Cover:
    """A group for each of some parts of what is looked for, each to be had; () for less than three letters."""
    match predicate:
        case StringContains(part):
            found = list(dict.fromkeys(_trigrams(part)))
        case TokenText(words):
            found = [word[:_LENGTH] for word in dict.fromkeys(words.split()) if len(word) >= _LENGTH]
        case _:
            return ()
    apart = max(1, -(-len(found) // _MOST_LOOKED_UP))
    return tuple((_MARK + each,) for each in found[::apart])


def _trigrams(text: str) -> list[str]:
    return [text[at : at + _LENGTH] for at in range(len(text) - _LENGTH + 1)]
