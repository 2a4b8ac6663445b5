"""Days as keywords: a day has four (decade, year, month, day), a range of days is covered by few.

Decades are kept apart from 1900 to 2099; what lies before or after shares one keyword, so that no cover grows long.
https://hl7.org/fhir/R4/search.html#date
"""

from calendar import isleap
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

from fhir_server.search.types.moment import DAY, EPOCH_DAY

_Day: TypeAlias = tuple[int, int, int]
"""Year, month, day. A range ends before its end, which may be the first day of the year 10000."""

_EARLY, _LATE = "early", "late"
_FIRST, _END = (1900, 1, 1), (2100, 1, 1)
_EARLIEST, _LATEST = date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY
_NEVER = (10_000, 1, 1)
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
_DECADE, _YEAR, _MONTH, _WHOLE_DAY = range(4)


def day_of(microseconds: int) -> int:
    """The UTC day of an instant, counted from 1970; what a calendar cannot say falls on its first or last day."""
    return min(max(microseconds // DAY, _EARLIEST), _LATEST)


def keywords(day: int) -> Sequence[str]:
    """The four keywords of a day."""
    text = date.fromordinal(day + EPOCH_DAY).isoformat()
    decade = _EARLY if text < "1900" else text[:3] if text < "2100" else _LATE
    return decade, text[:4], text[:7], text


@lru_cache(maxsize=1024)
def cover(first: int | None, last: int | None, most: int) -> tuple[str, ...] | None:
    """Keywords of which every day from `first` to `last` has at least one; None stands for no bound.

    The finest cover that needs no more than `most`; None when even whole decades are too many.
    """
    begin = None if first is None else _day(first)
    end = None if last is None else _day(last + 1)
    for unit in (_WHOLE_DAY, _MONTH, _YEAR, _DECADE):
        found = tuple(islice(_cover(begin, end, unit), most + 1))
        if len(found) <= most:
            return found
    return None


def _day(day: int) -> _Day:
    if day > _LATEST:
        return _NEVER
    moment = date.fromordinal(day + EPOCH_DAY)
    return moment.year, moment.month, moment.day


def _cover(begin: _Day | None, end: _Day | None, unit: int) -> Iterator[str]:
    """`unit` is the smallest that is used: the range is widened to whole ones."""
    if begin is None or (begin < _FIRST and (end is None or end > _FIRST)):
        yield _EARLY
        begin = _FIRST
    if end is None or (end > _END and begin < _END):
        yield _LATE
        end = _END
    if unit == _DECADE and begin < end and (begin >= _END or end <= _FIRST):
        yield _LATE if begin >= _END else _EARLY
        return
    at = _begin_of(begin, unit)
    while at < end:
        keyword, at = _largest(at, end, unit)
        yield keyword


def _begin_of(day: _Day, unit: int) -> _Day:
    year, month, _ = day
    return ((year - year % 10, 1, 1), (year, 1, 1), (year, month, 1), day)[unit]


def _largest(at: _Day, end: _Day, unit: int) -> tuple[str, _Day]:
    """The keyword of the largest unit that begins on a day and ends by `end`, and the day after it."""
    year, month, day = at
    if day == 1:
        if month == 1:
            after = (year + 10, 1, 1)
            if unit == _DECADE or (year % 10 == 0 and after <= end and _FIRST <= at < _END):
                return f"{year // 10:03}", after
            after = (year + 1, 1, 1)
            if unit == _YEAR or after <= end:
                return f"{year:04}", after
        after = (year + month // 12, month % 12 + 1, 1)
        if unit == _MONTH or after <= end:
            return f"{year:04}-{month:02}", after
    text = f"{year:04}-{month:02}-{day:02}"
    if day < _LENGTHS[month] + (month == _FEBRUARY and isleap(year)):
        return text, (year, month, day + 1)
    return text, (year + month // 12, month % 12 + 1, 1)
