"""Kind `uri`: the whole URI, character by character, or with `:above` and `:below` its place in a tree of paths.

A canonical's `|version` counts only where it is asked for.
https://hl7.org/fhir/R4/search.html#uri
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import Literal, NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.types import ranks
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import ANY_TYPE, MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type

_FOLDER = "/"
"""Ends the keyword of a folder; a URI itself is stored as it is."""

_MOST_FOLDERS = 8


class UriValue(NamedTuple):
    """`branch`: it is stored with the folders in which it lies, so that `:below` finds it. A canonical is not."""

    uri: str
    version: str
    branch: bool = False

    def keywords(self) -> Sequence[str]:
        return (
            (self.uri, *(folder + _FOLDER for folder in islice(_folders(self.uri), _MOST_FOLDERS)))
            if self.branch
            else (self.uri,)
        )

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.text(f"{self.uri}|{self.version}")


@dataclass(frozen=True, slots=True)
class UriIs:
    uri: str
    version: str

    @property
    def breadth(self) -> int:
        return 2

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ((self.uri,),)

    def matches(self, value: Value) -> bool:
        return isinstance(value, UriValue) and value.uri == self.uri and self.version in {"", value.version}


@dataclass(frozen=True, slots=True)
class UriNear:
    """`:below`: this URI or one that goes on from it at a slash. `:above`: one from which this one goes on.

    `branches`: all values of the parameter are stored with their folders.
    """

    side: Literal["above", "below"]
    uri: str
    branches: bool

    @property
    def breadth(self) -> int:
        return 3 if self.side == "above" else 6

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        if self.side == "above":
            above = tuple(_above(self.uri))
            return (above,) if len(above) <= most else ()
        bare = self.uri.rstrip("/")
        if not self.branches or "://" not in bare:
            return ()
        deep = tuple(_folders(f"{bare}/"))[:_MOST_FOLDERS]
        return ((deep[-1] + _FOLDER, bare),) if deep else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, UriValue):
            return False
        if self.side == "above":
            return value.uri in _above(self.uri)
        bare = self.uri.rstrip("/")
        return value.uri == bare or value.uri.startswith(f"{bare}/")


def _above(uri: str) -> Iterator[str]:
    """Itself and every folder that it lies in, with and without a slash at the end."""
    yield uri
    for folder in _folders(uri):
        yield folder
        yield folder + _FOLDER


def _folders(uri: str) -> Iterator[str]:
    """`http://a/b/c` lies in `http://a` and in `http://a/b`; what has no authority lies in nothing."""
    end = uri.find("://") + 3
    while end > 2 and (end := uri.find("/", end)) > 0:  # noqa: PLR2004  find said -1: there is no authority
        yield uri[:end]
        end += 1


def parse(asked: Asked) -> Predicate:
    uri, _, version = unescape(asked.text).strip().partition("|")
    if not uri:
        raise InvalidRequestError(f"The value of {asked.parameter} is no URI.")
    match asked.modifier:
        case "above" | "below" as side:
            return UriNear(side, uri, asked.types <= _BRANCHES)
        case _:
            return UriIs(uri, version)


_BRANCHES = frozenset({"uri", "url"})


def _uri(item: object) -> Sequence[UriValue]:
    if not isinstance(item, str) or not item.strip():
        return ()
    uri, _, version = item.strip().partition("|")
    return (UriValue(uri, version),)


def _branch(item: object) -> Sequence[Value]:
    return [value._replace(branch=True) for value in _uri(item)]


URI = Kind(
    "uri",
    by_type({"uri": _branch, "url": _branch, "canonical": _uri, "oid": _uri, "uuid": _uri}),
    parse,
    {"above": ANY_TYPE, "below": ANY_TYPE},
)
