"""Days as keywords: a day has four (decade, year, month, day), a range of days is covered by few.

Decades are kept apart from 1900 to 2099; what lies before or after shares one keyword, so that no cover grows long.
https://hl7.org/fhir/R4/search.html#date
"""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice

from fhir_server.search.types.moment import DAY, EPOCH_DAY, days_until

_EARLY, _LATE = "early", "late"
_FIRST, _LAST = days_until(1900), days_until(2100) - 1
_MONTH, _YEAR, _DECADE = 1, 2, 3
_EARLIEST, _LATEST = date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY


def day_of(microseconds: int) -> int:
    """The UTC day of an instant, counted from 1970; what a calendar cannot say falls on its first or last day."""
    return min(max(microseconds // DAY, _EARLIEST), _LATEST)


def keywords(day: int) -> Sequence[str]:
    """The four keywords of a day."""
    text = date.fromordinal(day + EPOCH_DAY).isoformat()
    decade = _EARLY if day < _FIRST else _LATE if day > _LAST else text[:3]
    return decade, text[:4], text[:7], text


def cover(first: int | None, last: int | None, most: int) -> tuple[str, ...] | None:
    """Keywords of which every day from `first` to `last` has at least one; None stands for no bound.

    The finest cover that needs no more than `most`; None when even whole decades are too many.
    """
    for widening in range(_DECADE + 1):
        found = tuple(islice(_cover(first, last, widening), most + 1))
        if len(found) <= most:
            return found
    return None


def _cover(first: int | None, last: int | None, widening: int) -> Iterator[str]:
    """`widening` 1, 2, 3: to whole months, years, decades."""
    if first is None or (first < _FIRST and (last is None or last >= _FIRST)):
        yield _EARLY
        first = _FIRST
    if last is None or (last > _LAST and first <= _LAST):
        yield _LATE
        last = _LAST
    if widening == _DECADE and first <= last and (last < _FIRST or first > _LAST):
        yield _EARLY if last < _FIRST else _LATE
        return
    day, last = (first, last) if first > last else (_unit(first, widening)[0], _unit(last, widening)[1])
    while day <= last:
        keyword, day = _largest(day, last)
        yield keyword


def _unit(day: int, widening: int) -> tuple[int, int]:
    """First and last day of the month, year or decade around a day."""
    moment = date.fromordinal(day + EPOCH_DAY)
    if widening == _MONTH:
        return days_until(moment.year, moment.month), days_until(moment.year, moment.month + 1) - 1
    if widening == _YEAR:
        return days_until(moment.year), days_until(moment.year + 1) - 1
    if widening == _DECADE:
        decade = moment.year - moment.year % 10
        return days_until(decade), days_until(decade + 10) - 1
    return day, day


def _largest(day: int, last: int) -> tuple[str, int]:
    """The keyword of the largest unit that begins on `day` and ends by `last`, and the day after it."""
    text = date.fromordinal(day + EPOCH_DAY).isoformat()
    for widening, length, begins in ((_DECADE, 3, "0-01-01"), (_YEAR, 4, "-01-01"), (_MONTH, 7, "-01")):
        if text.endswith(begins) and (widening != _DECADE or _FIRST <= day <= _LAST):
            end = _unit(day, widening)[1]
            if end <= last:
                return text[:length], end + 1
    return text, day + 1
