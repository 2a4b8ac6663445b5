"""Which repetitions are worked out: by day, week, month or year, a bounded number, within a bounded time.

RFC 5545 section 3.3.10. What repeats within a day, or may never come true, is refused: the parser would work for hours.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from mappers.mapping.faults import UnusableError

AHEAD = timedelta(days=366)
BEHIND = timedelta(days=31)
OLDEST_START = timedelta(days=3660)
MOST_VISITS = 400

_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST"})
_MONTHLY = frozenset({"BYMONTHDAY", "BYSETPOS"})
_MOST_POSITION = 5
_LAST_DAY = 31
_MOST_INTERVAL = 400


def refuse_endless(rule: Mapping[str, list[object]], start: datetime, now: datetime) -> None:
    """`rule` as the parser gives it: part -> values."""
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    allowed = _PARTS | (_MONTHLY if frequency == "MONTHLY" else frozenset())
    if frequency not in _FREQUENCIES or {part.upper() for part in rule} - allowed:
        raise UnusableError("RRULE is of a kind that is not worked out.")
    if "BYSETPOS" in rule and any(not str(day).isalpha() for day in rule.get("BYDAY", [])):
        raise UnusableError("RRULE is of a kind that is not worked out.")
    if "BYMONTHDAY" in rule and "BYDAY" in rule:
        raise UnusableError("RRULE is of a kind that is not worked out.")
    _refuse_beyond(rule, "INTERVAL", 1, _MOST_INTERVAL)
    _refuse_beyond(rule, "BYSETPOS", -_MOST_POSITION, _MOST_POSITION)
    _refuse_beyond(rule, "BYMONTHDAY", -_LAST_DAY, _LAST_DAY)
    for day in rule.get("BYDAY", []):
        position = str(day)[:-2]
        if position and not 1 <= abs(_number(position)) <= _MOST_POSITION:
            raise UnusableError("RRULE is of a kind that is not worked out.")
    if now - start > OLDEST_START:
        raise UnusableError("What repeats began too long ago.")


def _refuse_beyond(rule: Mapping[str, list[object]], part: str, least: int, most: int) -> None:
    if not all(least <= _number(value) <= most and _number(value) != 0 for value in rule.get(part, [])):
        raise UnusableError("RRULE is of a kind that is not worked out.")


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise UnusableError("RRULE is of a kind that is not worked out.") from None
