"""A FHIR date, dateTime or instant as the stretch of time that it means, in microseconds since 1970 (UTC).

What carries no time zone, a date above all, is taken to be UTC.
https://hl7.org/fhir/R4/search.html#date, https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import re
from datetime import UTC, date, datetime
from typing import NamedTuple

SECOND = 1_000_000
DAY = 86_400 * SECOND
EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9999

BEGINNING = -(1 << 62)
END = 1 << 62
"""Stand for a bound that is open."""

_MOMENT = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?P<time>T[0-9]{2}:[0-9]{2}(?P<second>:[0-9]{2}(?P<fraction>\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?",
    re.ASCII,
)


class Stretch(NamedTuple):
    """From `low` up to, and without, `high`."""

    low: int
    high: int


def stretch(text: str) -> Stretch | None:
    """What `2013`, `2013-03`, `2013-03-14`, `2013-03-14T10:00Z` … cover; None for anything else (30 February)."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return _stretch(found)
    except ValueError:
        return None


def _stretch(found: re.Match[str]) -> Stretch:
    year, month, day, time = found.group("year", "month", "day", "time")
    if time:
        return _instant(found)
    if day:
        low = days_until(int(year), int(month), int(day))
        return Stretch(low * DAY, (low + 1) * DAY)
    if month:
        return Stretch(days_until(int(year), int(month)) * DAY, days_until(int(year), int(month) + 1) * DAY)
    return Stretch(days_until(int(year)) * DAY, days_until(int(year) + 1) * DAY)


def days_until(year: int, month: int = 1, day: int = 1) -> int:
    """Days since 1970. The months 13 and the year 10000 exist here: each closes the one before."""
    if month == 13:  # noqa: PLR2004  the month after December
        year, month = year + 1, 1
    if year > _LAST_YEAR:
        return date.max.toordinal() + 1 - EPOCH_DAY
    return date(year, month, day).toordinal() - EPOCH_DAY


def _instant(found: re.Match[str]) -> Stretch:
    text, second, fraction = found.group(0, "second", "fraction")
    leap = bool(second) and second.startswith(":60")
    if leap:
        text = text.replace(":60", ":59", 1)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    low = (passed.days * 86_400 + passed.seconds + leap) * SECOND + passed.microseconds
    return Stretch(low, low + _precision(second, fraction))


def _precision(second: str | None, fraction: str | None) -> int:
    if second is None:
        return 60 * SECOND
    return SECOND if fraction is None else max(1, SECOND // 10 ** (len(fraction) - 1))
