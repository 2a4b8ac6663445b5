"""Which passwords are refused when one is chosen: short ones and those that everybody tries. Nothing else.

NIST SP 800-63B-4 section 3.1.1.2: a length, a blocklist, no rules of composition, no expiry.
"""

import re
import unicodedata
from enum import StrEnum
from functools import cache
from importlib.resources import files

from fhir_server.smart.signin.passwords import MOST_CHARACTERS

LEAST = 8
LEAST_ALONE = 15
"""Where no second factor stands beside it."""

_LEET = str.maketrans("013457@$!", "oieastasi")
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertzuiopasdfghjklyxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "!qaz@wsx#edc$rfv",
)
_LONGEST_UNIT = 4
_SHORTEST_NAME, _SHORTEST_WORD = 4, 6


class Refusal(StrEnum):
    """Names the words that the page has for it."""

    SHORT = "password-short"
    LONG = "password-long"
    COMMON = "password-common"
    NAME = "password-name"


def refusal(password: str, *, names: tuple[str, ...], alone: bool) -> Refusal | None:
    """Why this may not become the password of whoever bears `names`; None where it may."""
    text = unicodedata.normalize("NFKC", password)
    if len(text) < (LEAST_ALONE if alone else LEAST):
        return Refusal.SHORT
    if len(text) > MOST_CHARACTERS:
        return Refusal.LONG
    folded = text.casefold()
    cores = _cores(folded)
    if any(_is_little_but(name.casefold(), core) for core in cores for name in names if len(name) >= _SHORTEST_NAME):
        return Refusal.NAME
    if _is_pattern(folded) or not _common().isdisjoint(cores):
        return Refusal.COMMON
    if any(_is_little_but(word, core) for core in cores for word in _common() if len(word) >= _SHORTEST_WORD):
        return Refusal.COMMON
    return None


def _cores(folded: str) -> set[str]:
    """The word within: without what people put around it, and with letters for the figures that stand for them."""
    found = {folded, folded.translate(_LEET)}
    return found | {_ENDS.sub("", core) for core in (*found, _ENDS.sub("", folded).translate(_LEET))}


def _is_little_but(word: str, core: str) -> bool:
    """The word, several times perhaps, and hardly anything else."""
    return word in core and len(core.replace(word, "")) < LEAST // 2


def _is_pattern(folded: str) -> bool:
    """One short thing over and over, or a run along the alphabet, the figures or a keyboard."""
    for size in range(1, _LONGEST_UNIT + 1):
        if folded == (folded[:size] * len(folded))[: len(folded)]:
            return True
    return any(folded in run or folded in run[::-1] for run in _RUNS)


@cache
def _common() -> frozenset[str]:
    text = files("fhir_server.smart.signin").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())
