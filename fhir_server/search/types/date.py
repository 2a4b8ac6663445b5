"""Kind `date`: stretches of time, compared as R4's table of prefixes says.

https://hl7.org/fhir/R4/search.html#prefix, https://hl7.org/fhir/R4/search.html#date
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import bounds, days
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.moment import BEGINNING, DAY, END, Stretch, stretch

_WRITTEN = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_PLUS_READ_AS_SPACE = re.compile(r"(T[0-9:.]+) ([0-9]{2}:[0-9]{2})")
MOST_DAYS = 100
"""How many keywords of days a group may have."""


class DateValue(NamedTuple):
    """From `low` up to, and without, `high`, in microseconds."""

    low: int
    high: int

    def keywords(self) -> Sequence[str]:
        """Those of the days on which it begins and ends."""
        lower = None if self.low == BEGINNING else days.keywords(days.day_of(self.low))
        upper = None if self.high == END else days.keywords(days.day_of(self.high - 1))
        return bounds.keywords(lower, upper)


@dataclass(frozen=True, slots=True)
class DateIs:
    """A prefix (`eq`, `ne`, `gt`, `lt`, `ge`, `le`, `sa`, `eb`, `ap`) and the stretch of time that was asked for."""

    prefix: str
    low: int
    high: int

    @property
    def breadth(self) -> int:
        return breadth(self.high - self.low) if self.prefix == "eq" else 8

    def matches(self, value: Value) -> bool:
        return isinstance(value, DateValue) and _HOLDS[self.prefix](self, value)

    def about(self) -> Stretch:
        """`ap`: as much again on either side, a day at least; a share of the time since would change by the hour."""
        margin = max(self.high - self.low, DAY)
        return Stretch(self.low - margin, self.high + margin)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        most = min(most, MOST_DAYS)
        match self.prefix:
            case "eq":
                groups = [begins(self.low, self.high - 1, most)]
            case "gt":
                groups = [ends(self.high, None, most)]
            case "ge":
                groups = [ends(self.low, None, most)]
            case "lt":
                groups = [begins(None, self.low - 1, most)]
            case "le":
                groups = [begins(None, self.high - 1, most)]
            case "sa":
                groups = [begins(self.high, None, most)]
            case "eb":
                groups = [ends(None, self.low - 1, most)]
            case "ap":
                about = self.about()
                groups = [begins(None, about.high - 1, most), ends(about.low, None, most)]
            case _:
                groups = []
        return tuple(group for group in groups if group is not None)


def breadth(length: int) -> int:
    """Of a stretch so long, in microseconds."""
    return next((found for found, most in ((3, 2), (5, 32), (6, 367)) if length < most * DAY), 7)


def covered(first: int | None, last: int | None, most: int) -> tuple[str, ...] | None:
    """The days between two instants, both inclusive."""
    return days.cover(None if first is None else days.day_of(first), None if last is None else days.day_of(last), most)


def begins(first: int | None, last: int | None, most: int) -> tuple[str, ...] | None:
    return bounds.begins(covered(first, last, most - (first is None)), openly=first is None)


def ends(first: int | None, last: int | None, most: int) -> tuple[str, ...] | None:
    return bounds.ends(covered(first, last, (most - (last is None)) // 2), openly=last is None)


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
    return predicate(asked.parameter, unescape(asked.text))


def predicate(parameter: str, text: str) -> DateIs:
    """`ge2013-03-14` and its like. Raises InvalidRequestError for what is no date."""
    written = _WRITTEN.fullmatch(text.strip())
    found = stretch(_PLUS_READ_AS_SPACE.sub(r"\1+\2", written[2])) if written else None
    if written is None or found is None:
        raise InvalidRequestError(
            f"A value of {parameter} is a date such as 2013-03-14 or 2013-03-14T09:26:00Z, perhaps after one of "
            "eq, ne, gt, lt, ge, le, sa, eb, ap."
        )
    return DateIs(written[1] or "eq", found.low, found.high)


def _moment(item: object) -> Sequence[DateValue]:
    found = stretch(item) if isinstance(item, str) else None
    return (DateValue(found.low, found.high),) if found else ()


def _period(item: Json) -> Sequence[DateValue]:
    start, end = _moment(item.get("start")), _moment(item.get("end"))
    if not start and not end:
        return ()
    low = start[0].low if start else BEGINNING
    return (DateValue(low, max(end[0].high if end else END, low + 1)),)


def _timing(item: Json) -> Sequence[Value]:
    """R4: only the outer limits of a Timing matter."""
    events, repeat = item.get("event"), item.get("repeat")
    found = [value for event in (events if isinstance(events, list) else ()) for value in _moment(event)]
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict):
        found.extend(_period(bounds))
    return (DateValue(min(value.low for value in found), max(value.high for value in found)),) if found else ()


DATE = Kind(
    "date",
    by_type({"date": _moment, "dateTime": _moment, "instant": _moment, "Period": _period, "Timing": _timing}),
    parse,
)
