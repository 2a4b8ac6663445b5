"""Search tokens: what the database may compare without knowing what it compares.

RFC 2104. A token is the first 8 bytes of HMAC-SHA256(parameter key, keyword) as a signed integer; the parameter key is
HMAC-SHA256(token key of this epoch, parameter), so that equal words of two parameters are not seen to be equal.
A token is a candidate, never an answer: 64 bits collide, and the resource is looked at after it was opened.
"""

import struct
from collections.abc import Iterable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from fhir_server.crypto.keys import KEY_BYTES

_MOST_PARAMETERS = 5_000
_first_eight = struct.Struct(">q").unpack_from


class Tokenizer:
    """Makes the tokens of one epoch. Remembers a bounded number of words, in memory only.

    Safe to share between threads: each step that changes a memory is one operation of a dict.
    """

    def __init__(self, token_key: bytes, epoch: int, *, most_words: int = 50_000) -> None:
        if len(token_key) != KEY_BYTES:
            raise ValueError("A token key has 32 bytes.")
        self.epoch = epoch
        self._root = HMAC(token_key, SHA256())
        self._most_words = most_words
        self._parameters: dict[str, HMAC] = {}
        self._words: dict[tuple[str, str], int] = {}

    def token(self, parameter: str, keyword: str) -> int:
        """A signed 64-bit integer, the same in every process that has this epoch's key."""
        return self.tokens(((parameter, keyword),))[0]

    def tokens(self, pairs: Iterable[tuple[str, str]]) -> list[int]:
        """The tokens of (parameter, keyword) pairs, each once, in ascending order."""
        words, parameters = self._words, self._parameters
        found = set()
        for pair in pairs:
            token = words.get(pair)
            if token is None:
                parameter, keyword = pair
                mac = (parameters.get(parameter) or self._parameter(parameter)).copy()
                # A lone surrogate is no character and matches nothing stored; it must not be a fault either.
                mac.update(keyword.encode("utf-8", "surrogatepass"))
                token = words[pair] = _first_eight(mac.finalize())[0]
            found.add(token)
        if len(words) > self._most_words:
            words.clear()
        return sorted(found)

    def _parameter(self, parameter: str) -> HMAC:
        if len(self._parameters) >= _MOST_PARAMETERS:
            self._parameters.clear()
        derived = self._root.copy()
        derived.update(parameter.encode())
        made = self._parameters[parameter] = HMAC(derived.finalize(), SHA256())
        return made
