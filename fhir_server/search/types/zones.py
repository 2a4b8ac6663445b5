"""Moments without a time zone: a clinic's calendar means its own days, not those of UTC.

A civil time is counted in microseconds as if its clock showed UTC.
https://hl7.org/fhir/R4/search.html#date: where no time zone is given, the server's own is assumed.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def is_floating(text: str) -> bool:
    """True for a date, dateTime or instant that names no time zone."""
    return "T" not in text or not (text.endswith("Z") or text[-6:-5] in {"+", "-"})


@lru_cache(maxsize=65_536)
def anchored(civil: int, zone: tzinfo) -> int:
    """The instant at which clocks of the zone show a civil time, the first where they show it twice."""
    try:
        shown = (_EPOCH + timedelta(microseconds=civil)).replace(tzinfo=zone)
        return (shown - _EPOCH) // _MICROSECOND
    except (OverflowError, ValueError):
        return civil  # An open bound, or beyond what a calendar can say.


@lru_cache(maxsize=65_536)
def shown(instant: int, zone: tzinfo) -> int:
    """The civil time that clocks of the zone show at an instant."""
    try:
        local = (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)
        return (local.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
    except (OverflowError, ValueError):
        return instant
