"""Dates as stretches of time, by the calendar; and R4's table of prefixes on them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

FOREVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

Stretch = tuple[datetime, datetime]
"""From, and up to but not including."""


def stretch(text: str) -> Stretch:
    """Everything that a date of this precision may mean, in UTC where it does not say."""
    if len(text) == 4:
        start, end = date(int(text), 1, 1), date(int(text) + 1, 1, 1)
    elif len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        start, end = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    elif len(text) == 10:
        start = date.fromisoformat(text)
        end = start + timedelta(days=1)
    else:
        return _instant(text)
    return _midnight(start), _midnight(end)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _instant(text: str) -> Stretch:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    clock = text[11:].split("Z", maxsplit=1)[0].split("+", maxsplit=1)[0].split("-", maxsplit=1)[0]
    if clock.count(":") == 1:
        long = timedelta(minutes=1)
    elif "." not in clock:
        long = timedelta(seconds=1)
    else:
        long = timedelta(microseconds=max(1, 10 ** (6 - len(clock.split(".")[1]))))
    return moment, moment + long


def of_item(item: Any, type: str) -> Stretch | None:
    """A date, dateTime, instant, Period or Timing."""
    if type == "Period":
        ends = [stretch(item[name]) if name in item else None for name in ("start", "end")]
        start, end = ends[0][0] if ends[0] else FOREVER[0], ends[1][1] if ends[1] else FOREVER[1]
        return (start, max(end, start + timedelta(microseconds=1))) if ends[0] or ends[1] else None
    if type == "Timing":
        found = [stretch(each) for each in item.get("event", [])]
        period = of_item(item.get("repeat", {}).get("boundsPeriod", {}), "Period")
        found += [period] if period else []
        return (min(each[0] for each in found), max(each[1] for each in found)) if found else None
    return stretch(item) if type in {"date", "dateTime", "instant"} else None


def _within(asked: Stretch, found: Stretch) -> bool:
    return asked[0] <= found[0] and found[1] <= asked[1]


def _about(asked: Stretch, found: Stretch) -> bool:
    """As much again on either side, a day at least."""
    margin = max(asked[1] - asked[0], timedelta(days=1))
    return found[0] < asked[1] + margin and asked[0] - margin < found[1]


HOLDS: dict[str, Callable[[Stretch, Stretch], bool]] = {
    "eq": _within,
    "ne": lambda asked, found: not _within(asked, found),
    "gt": lambda asked, found: found[1] > asked[1],
    "ge": lambda asked, found: found[1] > asked[1] or _within(asked, found),
    "lt": lambda asked, found: found[0] < asked[0],
    "le": lambda asked, found: found[0] < asked[0] or _within(asked, found),
    "sa": lambda asked, found: found[0] >= asked[1],
    "eb": lambda asked, found: found[1] <= asked[0],
    "ap": _about,
}
