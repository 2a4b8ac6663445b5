"""Points in time: with an offset as they are, local ones in a zone that somebody named. Never guessed.

https://hl7.org/fhir/R4/datatypes.html#instant
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappers.mapping.faults import UnusableError


def written(moment: datetime) -> str:
    """As a FHIR instant in UTC."""
    if moment.tzinfo is None:
        raise UnusableError("A time has neither an offset nor a zone.")
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def sortable(moment: datetime) -> str:
    """UTC in one width, so that texts compare as the instants do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def with_offset(text: str, what: str) -> datetime:
    """An ISO 8601 time that says its offset; also `+0100` without a colon."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UnusableError(f"{what} is not a time.") from None
    if found.tzinfo is None:
        raise UnusableError(f"{what} has no offset, and none is guessed.")
    return found


def local(text: str, zone: ZoneInfo | None, what: str) -> datetime:
    """A wall clock's time in the clinic's zone: one that came twice, or never, on that day is refused."""
    if zone is None:
        raise UnusableError(f"{what} is a local time, and the clinic's time zone is not set.")
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise UnusableError(f"{what} is not a time.") from None
    if wall.tzinfo is not None:
        return wall
    first, second = wall.replace(tzinfo=zone), wall.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        raise UnusableError(f"{what} lies where the clocks change, and does not say which of two times it is.")
    return first


def zone_named(name: str) -> ZoneInfo | None:
    """An IANA zone, or None: a name like `CET/Paris (summer)` is no zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def later(start: datetime, minutes: int) -> datetime:
    return start + timedelta(minutes=minutes)


def day(text: str | None) -> str | None:
    """A whole calendar day, as FHIR's date; None for what is none."""
    try:
        return date.fromisoformat(text[:10]).isoformat() if text else None
    except ValueError:
        return None
