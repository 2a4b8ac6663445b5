"""Kind `date`: stretches of time, compared as R4's table of prefixes says.

https://hl7.org/fhir/R4/search.html#prefix, https://hl7.org/fhir/R4/search.html#date
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import bounds, days, ranks
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.moment import BEGINNING, DAY, END, Stretch, stretch
from fhir_server.search.types.zones import anchored, is_floating, shown

_WRITTEN = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_PLUS_READ_AS_SPACE = re.compile(r"(T[0-9:.]+) ([0-9]{2}:[0-9]{2})")
MOST_DAYS = 100
"""How many keywords of days a group may have."""


_LOW_FLOATS, _HIGH_FLOATS = 1, 2


class DateValue(NamedTuple):
    """From `low` up to, and without, `high`, in microseconds. `floating`: which of them were written without a zone."""

    low: int
    high: int
    floating: int = 0

    def keywords(self) -> Sequence[str]:
        """Those of the days on which it begins and ends."""
        first = None if self.low == BEGINNING else days.day_of(self.low)
        last = None if self.high == END else days.day_of(self.high - 1)
        lower = None if first is None else days.keywords(first)
        return bounds.keywords(lower, lower if last == first else None if last is None else days.keywords(last))

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.whole((self.within(zone) if zone is not None and self.floating else self).low)

    def within(self, zone: tzinfo) -> "DateValue":
        """What it means on the clocks of that zone."""
        low = anchored(self.low, zone) if self.floating & _LOW_FLOATS else self.low
        return DateValue(low, anchored(self.high, zone) if self.floating & _HIGH_FLOATS else self.high)


@dataclass(frozen=True, slots=True)
class DateIs:
    """A prefix (`eq`, `ne`, `gt`, `lt`, `ge`, `le`, `sa`, `eb`, `ap`) and the stretch of time that was asked for.

    `zone`: where values without a time zone are meant; None for UTC.
    """

    prefix: str
    low: int
    high: int
    zone: tzinfo | None = None

    @property
    def breadth(self) -> int:
        return breadth(self.high - self.low) if self.prefix == "eq" else 8

    def matches(self, value: Value) -> bool:
        if not isinstance(value, DateValue):
            return False
        meant = value.within(self.zone) if self.zone is not None and value.floating else value
        return _HOLDS[self.prefix](self, meant)

    def about(self) -> Stretch:
        """`ap`: as much again on either side, a day at least; a share of the time since would change by the hour."""
        margin = max(self.high - self.low, DAY)
        return Stretch(self.low - margin, self.high + margin)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        most = min(most, MOST_DAYS)
        match self.prefix:
            case "eq":
                groups = [begins(self.low, self.high - 1, most, self.zone)]
            case "gt":
                groups = [ends(self.high, None, most, self.zone)]
            case "ge":
                groups = [ends(self.low, None, most, self.zone)]
            case "lt":
                groups = [begins(None, self.low - 1, most, self.zone)]
            case "le":
                groups = [begins(None, self.high - 1, most, self.zone)]
            case "sa":
                groups = [begins(self.high, None, most, self.zone)]
            case "eb":
                groups = [ends(None, self.low - 1, most, self.zone)]
            case "ap":
                about = self.about()
                groups = [begins(None, about.high - 1, most, self.zone), ends(about.low, None, most, self.zone)]
            case _:
                groups = []
        return tuple(group for group in groups if group is not None)


def breadth(length: int) -> int:
    """Of a stretch so long, in microseconds."""
    return next((found for found, most in ((2, 2), (4, 32), (6, 367)) if length < most * DAY), 7)


def covered(first: int | None, last: int | None, most: int, zone: tzinfo | None) -> tuple[str, ...] | None:
    """The days between two instants, both inclusive. A value without a zone is stored by its civil day: those too."""
    if zone is not None:
        first = None if first is None else min(first, shown(first, zone))
        last = None if last is None else max(last, shown(last, zone))
    return days.cover(None if first is None else days.day_of(first), None if last is None else days.day_of(last), most)


def begins(first: int | None, last: int | None, most: int, zone: tzinfo | None) -> tuple[str, ...] | None:
    return bounds.begins(covered(first, last, most - (first is None), zone), openly=first is None)


def ends(first: int | None, last: int | None, most: int, zone: tzinfo | None) -> tuple[str, ...] | None:
    return bounds.ends(covered(first, last, (most - (last is None)) // 2, zone), openly=last is None)


def _inside(asked: DateIs, value: DateValue) -> bool:
    return asked.low <= value.low and value.high <= asked.high


_HOLDS: Mapping[str, Callable[[DateIs, DateValue], bool]] = {
    "eq": _inside,
    "ne": lambda asked, value: not _inside(asked, value),
    "gt": lambda asked, value: value.high > asked.high,
    "lt": lambda asked, value: value.low < asked.low,
    "ge": lambda asked, value: value.high > asked.high or _inside(asked, value),
    "le": lambda asked, value: value.low < asked.low or _inside(asked, value),
    "sa": lambda asked, value: value.low >= asked.high,
    "eb": lambda asked, value: value.high <= asked.low,
    "ap": lambda asked, value: value.low < asked.about().high and value.high > asked.about().low,
}


def parse(asked: Asked) -> Predicate:
    return predicate(asked.parameter, unescape(asked.text), asked.zone, days_only=asked.types <= {"date"})


def predicate(parameter: str, text: str, zone: tzinfo | None = None, *, days_only: bool = False) -> DateIs:
    """`ge2013-03-14` and its like. Raises InvalidRequestError for what is no date.

    `days_only`: no value of the parameter names a zone. Then neither does a date that is compared with them need one.
    """
    written = _WRITTEN.fullmatch(text.strip())
    moment = _PLUS_READ_AS_SPACE.sub(r"\1+\2", written[2]) if written else ""
    found = stretch(moment)
    if written is None or found is None:
        raise InvalidRequestError(
            f"A value of {parameter} is a date such as 2013-03-14 or 2013-03-14T09:26:00Z, perhaps after one of "
            "eq, ne, gt, lt, ge, le, sa, eb, ap."
        )
    floats = is_floating(moment)
    if zone is None or (days_only and floats):
        return DateIs(written[1] or "eq", found.low, found.high)
    low, high = (anchored(found.low, zone), anchored(found.high, zone)) if floats else found
    return DateIs(written[1] or "eq", low, high, zone)


def _moment(item: object) -> Sequence[DateValue]:
    if not isinstance(item, str) or (found := stretch(item)) is None:
        return ()
    return (DateValue(found.low, found.high, _LOW_FLOATS | _HIGH_FLOATS if is_floating(item) else 0),)


def _period(item: Json) -> Sequence[DateValue]:
    start, end = _moment(item.get("start")), _moment(item.get("end"))
    if not start and not end:
        return ()
    low = start[0].low if start else BEGINNING
    floating = (start[0].floating & _LOW_FLOATS if start else 0) | (end[0].floating & _HIGH_FLOATS if end else 0)
    return (DateValue(low, max(end[0].high if end else END, low + 1), floating),)


def _timing(item: Json) -> Sequence[Value]:
    """R4: only the outer limits of a Timing matter."""
    events, repeat = item.get("event"), item.get("repeat")
    found = [value for event in (events if isinstance(events, list) else ()) for value in _moment(event)]
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict):
        found.extend(_period(bounds))
    if not found:
        return ()
    first, last = min(found, key=lambda value: value.low), max(found, key=lambda value: value.high)
    return (DateValue(first.low, last.high, first.floating & _LOW_FLOATS | last.floating & _HIGH_FLOATS),)


DATE = Kind(
    "date",
    by_type({"date": _moment, "dateTime": _moment, "instant": _moment, "Period": _period, "Timing": _timing}),
    parse,
)
