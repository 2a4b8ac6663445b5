"""Time as an argument, and FHIR's way of writing an instant.

https://hl7.org/fhir/R4/datatypes.html#instant
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  the one clock


@lru_cache(maxsize=64)  # the events of one answer all have the same
def instant(moment: datetime) -> str:
    """`2026-03-14T09:26:53.589Z`: millisecond precision, always UTC. Truncates, never rounds up into the future."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:-_OFFSET] + "Z"


_OFFSET = len("+00:00")


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 (UTC)."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
