"""Which of two dates or times is earlier, as far as their precision tells.

http://hl7.org/fhirpath/N1/#comparison
"""

import re
from datetime import UTC, datetime, timedelta

MOMENT = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII)
_A_DAY = 10
_WORLD = timedelta(hours=14)
"""How far apart the clocks of two places can be, from UTC."""


def order(left: str, right: str) -> int | None:
    """Below zero where `left` is the earlier, zero where they are the same, None where nobody can tell."""
    try:
        return _order(left, right)
    except OverflowError:  # within a day of the year 1 or 9999
        return None


def _order(left: str, right: str) -> int | None:
    if len(left) > _A_DAY and len(right) > _A_DAY:
        return _sign(_instant(left), _instant(right))
    if len(left) > _A_DAY:
        return _against_instant(left, right)
    if len(right) > _A_DAY:
        found = _against_instant(right, left)
        return None if found is None else -found
    shared = min(len(left), len(right))
    if left[:shared] == right[:shared]:
        return 0 if len(left) == len(right) else None
    return -1 if left < right else 1


def _against_instant(text: str, day: str) -> int | None:
    """A date says no time zone, so it may begin and end up to fourteen hours off."""
    moment = _instant(text)
    before, after = moment - _WORLD, moment + _WORLD
    if after.isoformat()[: len(day)] < day:
        return -1
    return 1 if before.isoformat()[: len(day)] > day else None


def _sign(left: datetime, right: datetime) -> int:
    return (left > right) - (left < right)


def _instant(text: str) -> datetime:
    """A leap second counts as the second before it; what datetime cannot hold past microseconds is cut off."""
    found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.replace(":60", ":59")))
    return found.astimezone(UTC)
