"""What stands in a query, and what it means: a plain predicate beside the text that a client writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.engine.stored import Stored

Holds = Callable[[Stored], bool]
ItemHolds = Callable[[Any, str, str], bool]
"""An element, its FHIR type, the type of what it stands in."""


@dataclass(frozen=True)
class Criterion:
    name: str
    value: str
    holds: Holds


@dataclass(frozen=True)
class Alternative:
    """One of the values between commas, and which elements meet it."""

    text: str
    holds: ItemHolds


def escaped(text: str) -> str:
    for letter in "\\,$|":
        text = text.replace(letter, "\\" + letter)
    return text
