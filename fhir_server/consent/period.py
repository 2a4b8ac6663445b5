"""Whether a Period covers an instant, to the precision that its ends are written in.

https://hl7.org/fhir/R4/datatypes.html#Period: an end includes all of the day, month or year that it names.
"""

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from fhir_server.consent.match import Match

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d)))?)?)?",
    re.ASCII,
)
_ENDS = frozenset({"start", "end"})
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MICROSECOND_DIGITS = 6
_REMEMBERED, _LONGEST = 4096, 40
"""Consents are looked at far more often than they are signed; what is longer is no dateTime."""


def covers(period: object, instant: datetime) -> Match:
    """YES inside, NO outside, UNSURE when the period cannot be read.

    A date without a time is a day of the clinic: it is read in the time zone that `instant` is given in.
    """
    if period is None:
        return Match.YES
    if not isinstance(period, dict) or not period.keys() <= _ENDS or instant.tzinfo is None:
        return Match.UNSURE
    bounds = _bounds(period, instant.tzinfo)
    if bounds is None:
        return Match.UNSURE
    return Match.YES if bounds[0] <= instant.astimezone(UTC) < bounds[1] else Match.NO


def span(text: object, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The first instant of a date or dateTime, and the first one after it, in UTC; None when it is neither."""
    return _span(text, zone) if isinstance(text, str) else None


@lru_cache(maxsize=_REMEMBERED)
def _span(text: str, zone: tzinfo) -> tuple[datetime, datetime] | None:
    found = _DATE_TIME.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups()
    try:
        if hour is None:
            return _utc(int(year), int(month or 1), int(day or 1), zone), _next(int(year), month, day, zone)
        offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        local = timezone(-offset if sign == "-" else offset)
        digits = (fraction or "")[:_MICROSECOND_DIGITS]
        first = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=local)
        first += timedelta(microseconds=int(digits.ljust(_MICROSECOND_DIGITS, "0")))
        return first.astimezone(UTC), (first + timedelta(microseconds=10 ** (6 - len(digits)))).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _next(year: int, month: str | None, day: str | None, zone: tzinfo) -> datetime:
    """The first instant after the named year, month or day."""
    if month is None:
        return _utc(year + 1, 1, 1, zone)
    if day is None:
        return _utc(year + int(month) // 12, int(month) % 12 + 1, 1, zone)
    following = datetime(year, int(month), int(day), tzinfo=UTC)
    if following.date() == _LATEST.date():
        return _LATEST
    following += timedelta(days=1)
    return _utc(following.year, following.month, following.day, zone)


def _utc(year: int, month: int, day: int, zone: tzinfo) -> datetime:
    """Midnight of that day in the zone; what lies beyond the calendar is the end of it: `9999-12-31` means for ever."""
    if year > MAXYEAR:
        return _LATEST
    try:
        return datetime(year, month, day, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return _EARLIEST if year == MINYEAR else _LATEST


def within(period: object, times: tuple[object, ...], zone: tzinfo | None) -> Match:
    """Did it happen in the period? YES wholly, NO not at all; UNSURE in part, or where it is not known when."""
    outer = _bounds(period, zone)
    inner = [_bounds(time if isinstance(time, dict) else {"start": time, "end": time}, zone) for time in times]
    if outer is None or not inner or None in inner:
        return Match.UNSURE
    bounds = [one for one in inner if one is not None]
    if all(outer[0] <= begin and end <= outer[1] for begin, end in bounds):
        return Match.YES
    if all(end <= outer[0] or outer[1] <= begin for begin, end in bounds):
        return Match.NO
    return Match.UNSURE


def is_over(period: object, instant: datetime) -> bool:
    """Has its end surely passed?"""
    end = period.get("end") if isinstance(period, dict) else None
    last = span(end, instant.tzinfo) if instant.tzinfo else None
    return last is not None and last[1] <= instant.astimezone(UTC)


def _bounds(period: object, zone: tzinfo | None) -> tuple[datetime, datetime] | None:
    if zone is None or not isinstance(period, dict) or not period.keys() <= _ENDS:
        return None
    begin, end = span(period.get("start", "0001"), zone), span(period.get("end", "9999"), zone)
    return (begin[0], end[1]) if begin and end else None
