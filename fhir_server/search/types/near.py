"""Kind `special`, of which R4 has one that has values of its own: `near`, a distance from a place on the earth.

https://hl7.org/fhir/R4/location.html#positional
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import number
from fhir_server.search.types.escapes import split, unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.units import UNITS

_RADIUS = 6_371_008.8
"""Of the earth, in metres, taken as a sphere: the mean radius of the GRS 80 ellipsoid."""

_METRES_PER_DEGREE = 111_000
"""A little less than there are, so that cells are rather counted in than left out."""

_SLACK = 1e-6
"""Degrees, some centimetres: what floating-point numbers may be wrong by, and more."""

_DISTANCE = 25_000.0
"""Metres, where the client names no distance, which R4 leaves to the server."""

_FULL_CIRCLE, _POLE = 360, 90
_MOST_PARTS, _FEWEST_PARTS = 4, 2


class PlaceValue(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float

    def keywords(self) -> Sequence[str]:
        """The square degree in which it lies."""
        return (_cell(math.floor(self.latitude), math.floor(self.longitude)),)

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class PlaceNear:
    """At most so many metres away."""

    latitude: float
    longitude: float
    distance: float

    @property
    def breadth(self) -> int:
        return 4

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        cells = tuple(dict.fromkeys(islice(self._cells(), most + 1)))
        return (cells,) if len(cells) <= most else ()

    def matches(self, value: Value) -> bool:
        return isinstance(value, PlaceValue) and _between(self, value) <= self.distance

    def _cells(self) -> Iterator[str]:
        height = self.distance / _METRES_PER_DEGREE + _SLACK
        south, north = self.latitude - height, self.latitude + height
        width = math.cos(math.radians(min(_POLE, max(abs(south), abs(north)))))
        reach = min(_FULL_CIRCLE / 2, height / width) if width > height / _FULL_CIRCLE else _FULL_CIRCLE / 2
        for latitude in range(math.floor(max(south, -_POLE)), math.floor(min(north, _POLE)) + 1):
            for longitude in range(math.floor(self.longitude - reach), math.floor(self.longitude + reach) + 1):
                yield _cell(latitude, longitude)


def _cell(latitude: int, longitude: int) -> str:
    """Degrees east count round the earth once: 180 east is 180 west."""
    return f"{latitude},{longitude % _FULL_CIRCLE}"


def _between(one: PlaceNear, other: PlaceValue) -> float:
    """Metres along a great circle, by the haversine formula."""
    north, other_north = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    chord = math.sin((other_north - north) / 2) ** 2 + math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
    return 2 * _RADIUS * math.asin(min(1.0, math.sqrt(chord)))


def parse(asked: Asked) -> Predicate:
    """`latitude|longitude|distance|unit`; without a unit kilometres."""
    parts = [unescape(part).strip() for part in split(asked.text, "|")]
    if not _FEWEST_PARTS <= len(parts) <= _MOST_PARTS:
        raise _wrong(asked)
    latitude, longitude, distance, unit = [*parts, "", ""][:_MOST_PARTS]
    north, east = _degrees(asked, latitude, _POLE), _degrees(asked, longitude, _FULL_CIRCLE / 2)
    length = UNITS.get(unit or "km")
    if length is None or length.dimension != "length":
        raise _wrong(asked)
    far = _number(asked, distance) * float(length.factor) if distance else _DISTANCE
    if far < 0:
        raise _wrong(asked)
    return PlaceNear(north, east, far)


def _degrees(asked: Asked, text: str, most: float) -> float:
    degrees = _number(asked, text)
    if abs(degrees) > most:
        raise _wrong(asked)
    return degrees


def _number(asked: Asked, text: str) -> float:
    found = number.predicate(asked.parameter, text)
    if text[:1].isalpha():
        raise _wrong(asked)
    return float(found.number)


def _wrong(asked: Asked) -> InvalidRequestError:
    return InvalidRequestError(
        f"A value of {asked.parameter} is latitude|longitude|distance|unit, in degrees and a unit of length."
    )


def _position(item: Json) -> Sequence[Value]:
    latitude, longitude = number.decimal(item.get("latitude")), number.decimal(item.get("longitude"))
    if latitude is None or longitude is None:
        return ()
    north, east = float(latitude), float(longitude)
    return (PlaceValue(north, east),) if abs(north) <= _POLE and abs(east) <= _FULL_CIRCLE else ()


SPECIAL = Kind("special", by_type({"Location.position": _position}), parse)
