"""Kind `reference`: by id, by type and id, by URL, and with `:identifier` by the identifier inside the reference.

https://hl7.org/fhir/R4/search.html#reference
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.identity import is_id
from fhir_server.kernel.json import Json
from fhir_server.search.types import ranks, token, token_values
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type

_RESTFUL = re.compile(
    r"(?:(?P<base>[a-z][a-z0-9+.\-]*://\S+)/)?(?P<type>[A-Z][A-Za-z]{0,63})/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?",
    re.ASCII,
)
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:\S", re.ASCII)
_CANONICAL = frozenset({"canonical", "uri"})
"""Only what has a version has one above and below it."""

_SIDES = frozenset({"above", "below"})
_IDENTIFIER = "identifier "
"""Before the keywords of an identifier; no URL holds a space."""


class ReferenceValue(NamedTuple):
    """`url`: the text without `|version`; `base`: "" for a relative reference; `type`: "" where no id is named."""

    url: str
    base: str
    type: str
    id: str
    version: str = ""
    identifiers: tuple[token_values.TokenValue, ...] = ()

    def keywords(self) -> Sequence[str]:
        own = (_keyword(self),) if self.url else ()
        if not self.identifiers:
            return own
        return (*own, *(_IDENTIFIER + keyword for value in self.identifiers for keyword in value.keywords()))

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.text(_keyword(self)) if self.url else None


def _keyword(value: ReferenceValue) -> str:
    """The same for relative and absolute: the type and the id; which server is meant is looked at after opening."""
    return f"{value.type}/{value.id}" if value.type else value.url


def _read(text: str) -> ReferenceValue:
    url, _, version = text.partition("|")
    found = _RESTFUL.fullmatch(url)
    if found is None:
        return ReferenceValue(url, "", "", "", version)
    base, type, id = found.group("base", "type", "id")
    return ReferenceValue(url, base or "", type, id, version)


@dataclass(frozen=True, slots=True)
class ReferenceTo:
    """A resource of this server, whose own address is `base`: `types` are those that may be meant."""

    types: tuple[str, ...]
    id: str
    base: str

    @property
    def breadth(self) -> int:
        return 1

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        group = tuple(f"{type_name}/{self.id}" for type_name in self.types)
        return (group,) if 0 < len(group) <= most else ()

    def matches(self, value: Value) -> bool:
        return (
            isinstance(value, ReferenceValue)
            and value.id == self.id
            and value.type in self.types
            and value.base in {"", self.base}
        )


@dataclass(frozen=True, slots=True)
class ReferenceAmong:
    """One of many resources of this server that were looked up: by `Type/id`, or by canonical URL and version."""

    keys: frozenset[str]
    urls: frozenset[tuple[str, str]]
    base: str

    @property
    def breadth(self) -> int:
        return min(7, 1 + len(self.keys) // 100)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        """One group however large: a store asks in several pieces."""
        group = tuple(sorted(self.keys | {url for url, _ in self.urls}))
        return (group,) if group else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, ReferenceValue):
            return False
        if value.type and value.base in {"", self.base} and f"{value.type}/{value.id}" in self.keys:
            return True
        return bool(self.urls) and any(
            url == value.url and value.version in {"", version} for url, version in self.urls
        )


@dataclass(frozen=True, slots=True)
class ReferenceUrl:
    """Something elsewhere, or something without an id: its URL, and a version if one was asked for.

    `side`: `below` takes versions that go on from the one asked for (`1.2` -> `1.2.1`), `above` those that it goes on
    from.
    """

    target: ReferenceValue
    side: str = ""

    @property
    def breadth(self) -> int:
        return 1

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return ((_keyword(self.target),),)

    def matches(self, value: Value) -> bool:
        return (
            isinstance(value, ReferenceValue)
            and value.url == self.target.url
            and (not self.target.version or self._is_version(value.version))
        )

    def _is_version(self, found: str) -> bool:
        asked = self.target.version
        if self.side == "below":
            return found == asked or found.startswith(f"{asked}.")
        return found == asked or (self.side == "above" and bool(found) and asked.startswith(f"{found}."))


@dataclass(frozen=True, slots=True)
class ReferenceIdentifier:
    """`:identifier`: the logical identifier stands in the reference itself."""

    identifier: token.TokenIs

    @property
    def breadth(self) -> int:
        return 1

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        return tuple(tuple(_IDENTIFIER + keyword for keyword in group) for group in self.identifier.cover(most))

    def matches(self, value: Value) -> bool:
        return isinstance(value, ReferenceValue) and any(map(self.identifier.matches, value.identifiers))


def parse(asked: Asked) -> Predicate:
    if asked.modifier == "identifier":
        return ReferenceIdentifier(token.identifier(asked))
    text = unescape(asked.text).strip()
    if asked.modifier in _SIDES:
        return ReferenceUrl(_target(asked, text), asked.modifier)
    types = (asked.modifier,) if asked.modifier else asked.targets
    if is_id(text):
        return ReferenceTo(types, text, asked.base)
    target = _target(asked, text)
    local = target.type and target.base in {"", asked.base} and "/_history/" not in target.url
    if asked.modifier and not (local and target.type == asked.modifier):
        raise InvalidRequestError(f"The value of {asked.parameter}:{asked.modifier} is the id of a {asked.modifier}.")
    return ReferenceTo((target.type,), target.id, asked.base) if local else ReferenceUrl(target)


def _target(asked: Asked, text: str) -> ReferenceValue:
    """Raises InvalidRequestError for what is neither `Type/id` nor a URL."""
    target = _read(text)
    if not target.type and not _ABSOLUTE.match(text):
        raise InvalidRequestError(f"A value of {asked.parameter} is an id, a type and an id (Patient/7), or a URL.")
    return target


def _reference(item: Json) -> Sequence[Value]:
    text, logical = item.get("reference"), item.get("identifier")
    identifiers = tuple(token_values.identifier(logical)) if isinstance(logical, dict) else ()
    if isinstance(text, str) and text and not text.startswith("#"):
        return (_read(text)._replace(identifiers=identifiers),) if identifiers else (_read(text),)
    return (ReferenceValue("", "", "", "", "", identifiers),) if identifiers else ()


def _url(item: object) -> Sequence[Value]:
    return (_read(item),) if isinstance(item, str) and item and not item.startswith("#") else ()


def _inline(item: Json) -> Sequence[Value]:
    """A resource that stands where others have a reference: the first entry of a document or message."""
    kind, named = item.get("resourceType"), item.get("id")
    return (_read(f"{kind}/{named}"),) if isinstance(kind, str) and isinstance(named, str) else ()


REFERENCE = Kind(
    "reference",
    by_type({"Reference": _reference, "canonical": _url, "uri": _url, "Resource": _inline}),
    parse,
    {"identifier": frozenset({"Reference"}), "above": _CANONICAL, "below": _CANONICAL},
)
