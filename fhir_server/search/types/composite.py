"""Kind `composite`: several values that belong together, `code$value`.

Nothing is stored for one: its parts are parameters of their own, and what they find is decided here after opening.
https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.types.escapes import split
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value


class CompositeValue(NamedTuple):
    """For each part the values that stand together."""

    parts: tuple[tuple[Value, ...], ...]

    def keywords(self) -> Sequence[str]:
        return ()

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class CompositeIs:
    """All parts hold of what stands together. `plan` takes the covers of the parts under the parts' own parameters."""

    parts: tuple[Predicate, ...]

    @property
    def breadth(self) -> int:
        return min(part.breadth for part in self.parts)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ()

    def matches(self, value: Value) -> bool:
        return isinstance(value, CompositeValue) and all(
            any(map(part.matches, values)) for part, values in zip(self.parts, value.parts, strict=True)
        )


def parse(asked: Asked) -> Predicate:
    texts = split(asked.text, "$")
    if len(texts) != len(asked.parts) or not all(texts):
        raise InvalidRequestError(f"A value of {asked.parameter} has {len(asked.parts)} parts, with $ between them.")
    return CompositeIs(
        tuple(read(replace(part, text=text)) for text, (read, part) in zip(texts, asked.parts, strict=True))
    )


COMPOSITE = Kind("composite", lambda _type_name, _owner: None, parse)
