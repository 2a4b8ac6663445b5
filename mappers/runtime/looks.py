"""Who bears one of these identifiers: such looks of several messages as one search, and of its answer to each its own.

https://hl7.org/fhir/R4/search.html#combining: a comma is OR. A search costs the server nearly the same, whether it
names one identifier or fifty. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mappers.mapping.identifiers import criteria
from mappers.mapping.json_text import Json

_MOST_IDENTIFIERS = 60
_MOST_CHARACTERS = 6_000
_MOST_MATCHES = 100
_OK = "200"


@dataclass(frozen=True, slots=True)
class Bearers:
    """Resources of a type that bear one of these identifiers, each a system and a value.

    `brief`: of each only id and identifiers.
    """

    type: str
    identifiers: tuple[tuple[str, str], ...]
    brief: bool = False

    def query(self) -> str:
        values = ",".join(criteria(*one).removeprefix("identifier=") for one in dict.fromkeys(self.identifiers))
        elements = "&_elements=identifier" if self.brief else ""
        return f"{self.type}?identifier={values}{elements}&_count={_MOST_MATCHES}"


Look = str | Bearers
"""What a GET of this URL answers, or who bears an identifier."""


@dataclass(frozen=True, slots=True)
class Search:
    """One GET, and the places of the looks that it answers."""

    url: str
    places: tuple[int, ...]


def url_of(look: Look) -> str:
    return look.query() if isinstance(look, Bearers) else look


def together(looks: Sequence[Look]) -> list[Search]:
    """As few searches as these looks can be made of."""
    alike: dict[tuple[str, bool], list[int]] = {}
    searches: list[Search] = []
    for place, look in enumerate(looks):
        if isinstance(look, Bearers):
            alike.setdefault((look.type, look.brief), []).append(place)
        else:
            searches.append(Search(look, (place,)))
    for places in alike.values():
        searches += _joined(looks, places)
    return searches


def told(looks: Sequence[Look], searches: Sequence[Search], entries: Sequence[Json]) -> list[Json | None]:
    """An answer for each look; None for what has to be asked alone, since together it was refused or too much."""
    found: list[Json | None] = [None for _ in looks]
    for search, entry in zip(searches, entries, strict=True):
        if len(search.places) == 1:
            found[search.places[0]] = entry
        elif _is_whole(entry):
            for place, own in _shares(looks, search, entry["resource"].get("entry", ())).items():
                found[place] = {**entry, "resource": {**entry["resource"], "entry": own}}
    return found


def _joined(looks: Sequence[Look], places: Sequence[int]) -> Iterator[Search]:
    taken: list[int] = []
    joined = Bearers("", ())
    for place in places:
        look = looks[place]
        assert isinstance(look, Bearers)
        wider = Bearers(look.type, (*joined.identifiers, *look.identifiers), look.brief)
        if taken and (len(wider.identifiers) > _MOST_IDENTIFIERS or len(wider.query()) > _MOST_CHARACTERS):
            yield Search(joined.query(), tuple(taken))
            taken, wider = [], look
        taken.append(place)
        joined = wider
    yield Search(joined.query(), tuple(taken))


def _is_whole(entry: Json) -> bool:
    """All that was found stands on its first page."""
    links = entry.get("resource", {}).get("link", ())
    return str(entry["response"]["status"])[:3] == _OK and all(link.get("relation") != "next" for link in links)


def _shares(looks: Sequence[Look], search: Search, matches: Sequence[Json]) -> dict[int, list[Json]]:
    """Nothing where a match is nobody's: it is not known then by what it was found."""
    shares: dict[int, list[Json]] = {place: [] for place in search.places}
    askers: dict[tuple[str, str], set[int]] = {}
    for place in search.places:
        look = looks[place]
        assert isinstance(look, Bearers)
        for one in look.identifiers:
            askers.setdefault(_compared(*one), set()).add(place)
    for match in matches:
        borne = {
            _compared(one.get("system", ""), one.get("value", "")) for one in match["resource"].get("identifier", ())
        }
        whose = {place for one in borne for place in askers.get(one, ())}
        if not whose:
            return {}
        for place in whose:
            shares[place].append(match)
    return shares


def _compared(system: str, value: str) -> tuple[str, str]:
    """As R4 compares identifiers: the system exactly, the value without regard to case."""
    return system, value.strip().casefold()
