"""Large text of a resource that is kept beside it, and where in the resource it belongs.

sealed-storage section 5; https://hl7.org/fhir/R4/datatypes.html#base64Binary. In a parsed resource an `Attached` stands
where its text would. It is an object that no JSON makes and that JSON has no place for: no client can send one, and
whoever tries to write out a resource without its text fails.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

from fhir_server.kernel import json
from fhir_server.kernel.json import Json

Path: TypeAlias = tuple[str | int, ...]
"""The names and indexes that lead to a place in parsed JSON."""


class Attached(ABC):
    """Base64 text that lies elsewhere. The store implements it."""

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """How many bytes its text takes inside a JSON string."""

    @property
    @abstractmethod
    def length(self) -> int:
        """How many bytes of data it encodes."""

    @abstractmethod
    def text(self) -> AsyncIterator[bytes]:
        """Exactly as it came, as it stands inside a JSON string. Raises GoneError once its key is destroyed."""

    @abstractmethod
    def data(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The data from `start` up to, not including, `stop`."""


@dataclass(frozen=True, slots=True)
class Place:
    """`at` lies between the quotes of an empty string in an outline; `path` leads to the same place when parsed."""

    at: int
    path: Path
    attached: Attached


@dataclass(frozen=True, slots=True)
class Outline:
    """A resource as JSON bytes, with an empty string wherever text lies beside it; and these places in their order."""

    text: bytes
    places: tuple[Place, ...]

    def within(self, text: bytes) -> "Outline":
        """The same places in a text that is longer by what was put in before all of them."""
        more = len(text) - len(self.text)
        return Outline(text, tuple(replace(place, at=place.at + more) for place in self.places))

    def pieces(self) -> tuple[bytes | Attached, ...]:
        """What makes the whole text, in order."""
        found: list[bytes | Attached] = []
        begin = 0
        for place in self.places:
            found += (self.text[begin : place.at], place.attached)
            begin = place.at
        return (*found, self.text[begin:])

    def parsed(self) -> Json:
        """The resource as a value, with each Attached in its place."""
        value: Json = json.decode_trusted(self.text)
        for place in self.places:
            *way, last = place.path
            inner: Any = value
            for step in way:
                inner = inner[step]
            inner[last] = place.attached
        return value


def outline(value: Json) -> Outline:
    """The outline of a resource in which some texts are Attached."""
    found = list(attached_in(value))
    # Nobody can write the hash of a text into that text: what a client sent is never taken for a mark.
    mark = hashlib.sha256(json.encode(_marked(value, ""))).hexdigest()
    parts = json.encode(_marked(value, mark)).split(mark.encode())
    places, at = [], 0
    for part, (path, attached) in zip(parts, found, strict=False):
        at += len(part)
        places.append(Place(at, path, attached))
    return Outline(b"".join(parts), tuple(places))


def attached_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Attached]]:  # noqa: ANN401  JSON is any value
    """Each Attached in a parsed resource, in the order in which it is written."""
    if isinstance(value, Attached):
        yield path, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from attached_in(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from attached_in(child, (*path, index))


def with_attached(value: Any, found: Mapping[Path, Attached], path: Path = ()) -> Any:  # noqa: ANN401  JSON is any value
    """The same JSON with each Attached at its path; copies only the branches that lead there."""
    if path in found:
        return found[path]
    if isinstance(value, dict):
        changed = {
            name: new for name, child in value.items() if (new := _inside(child, found, path, name)) is not child
        }
        return {**value, **changed} if changed else value
    if isinstance(value, list):
        new = [_inside(child, found, path, index) for index, child in enumerate(value)]
        return new if any(one is not old for one, old in zip(new, value, strict=True)) else value
    return value


async def written(pieces: Iterable[bytes | Attached]) -> AsyncIterator[bytes]:
    """The bytes that pieces make, a part at a time; what is in memory between two Attached is one part."""
    for in_memory, together in groupby(pieces, lambda piece: isinstance(piece, bytes)):
        if in_memory:
            yield b"".join(piece for piece in together if isinstance(piece, bytes))
            continue
        for piece in together:
            if isinstance(piece, Attached):
                async for part in piece.text():
                    yield part


def _inside(child: Any, found: Mapping[Path, Attached], path: Path, step: str | int) -> Any:  # noqa: ANN401  JSON is any value
    return with_attached(child, found, (*path, step)) if isinstance(child, dict | list | str) else child


def _marked(value: Any, mark: str) -> Any:  # noqa: ANN401  JSON is any value
    if isinstance(value, Attached):
        return mark
    if isinstance(value, dict):
        return {name: _marked(child, mark) for name, child in value.items()}
    if isinstance(value, list):
        return [_marked(child, mark) for child in value]
    return value
