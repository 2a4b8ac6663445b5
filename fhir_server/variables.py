"""What an environment variable may be: its name, kind and limits, read off the field that declares it.

https://12factor.net/config
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_type_hints

PREFIX = "FHIR_SERVER_"
Level = Literal["debug", "info", "warning", "error"]
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class SettingsError(ValueError):
    """What is wrong, by variable. It never quotes a value: one may hold a password."""


@dataclass(frozen=True, slots=True)
class Within:
    """The limits of a number, both included."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        return f" from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Like:
    """The shape of a text, and the words for it."""

    pattern: str
    words: str

    def holds(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value, re.ASCII) is not None

    def __str__(self) -> str:
        return f", {self.words}"


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[text.lower()]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def _level(text: str) -> str:
    if text.lower() not in get_args(Level):
        raise ValueError
    return text.lower()


_KINDS: dict[object, tuple[str, Callable[[str], object]]] = {
    str: ("text", str),
    bool: ("true or false", _boolean),
    int: ("a whole number", _whole),
    float: ("a number", float),
    Path: ("a path", Path),
    Path | None: ("a path", Path),
    Level: (f"one of {', '.join(get_args(Level))}", _level),
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as its field declares it."""

    field: str
    kind: object
    default: object
    sentence: str
    limits: Within | Like | None

    @property
    def name(self) -> str:
        return PREFIX + self.field.upper()

    @property
    def type(self) -> str:
        """Kind and limits in words."""
        return f"{_KINDS[self.kind][0]}{self.limits or ''}"

    @property
    def written_default(self) -> str:
        """As one would write it in the environment; empty where the default is to set nothing."""
        if self.default in (None, "", Path()):
            return ""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def read(self, text: str) -> object:
        """The value of a text that is not empty. Raises ValueError."""
        return _KINDS[self.kind][1](text)

    def allows(self, value: object) -> bool:
        match self.limits, value:
            case Within() as limits, int() | float():
                return limits.holds(value)
            case Like() as limits, str():
                return limits.holds(value)
            case _:
                return self.limits is None

    def complaint(self) -> str:
        return f"{self.name} must be {self.type}."


def declared(settings: type) -> tuple[Variable, ...]:
    """The variables that the fields of a dataclass declare."""
    hints = get_type_hints(settings, include_extras=True)
    found = []
    for field in dataclasses.fields(settings):
        kind, sentence, *limits = get_args(hints[field.name])
        found.append(Variable(field.name, kind, field.default, sentence, limits[0] if limits else None))
    return tuple(found)


def unknown(name: str, known: Collection[str]) -> str:
    """What to say of a variable that nothing declares."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting{f'; {near[0]} is' if near else ''}."
