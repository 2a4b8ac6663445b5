"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)


class FakeClock:
    def __init__(self, start: datetime = NOW) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by
