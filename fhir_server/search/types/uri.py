"""Kind `uri`: the whole URI, character by character; a canonical's `|version` counts only where it is asked for.

https://hl7.org/fhir/R4/search.html#uri
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type


class UriValue(NamedTuple):
    uri: str
    version: str

    def keywords(self) -> Sequence[str]:
        return (self.uri,)


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


def parse(asked: Asked) -> Predicate:
    uri, _, version = unescape(asked.text).strip().partition("|")
    return UriIs(uri, version)


def _uri(item: object) -> Sequence[Value]:
    if not isinstance(item, str) or not item.strip():
        return ()
    uri, _, version = item.strip().partition("|")
    return (UriValue(uri, version),)


URI = Kind("uri", by_type({"uri": _uri, "url": _uri, "canonical": _uri, "oid": _uri, "uuid": _uri}), parse)
