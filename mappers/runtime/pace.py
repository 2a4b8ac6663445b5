"""So many a minute and no more."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Pace:
    most_per_minute: int
    _since: datetime | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)

    def is_too_much(self, now: datetime) -> bool:
        if self._since is None or now - self._since >= _MINUTE:
            self._since, self._count = now, 0
        self._count += 1
        return self._count > self.most_per_minute
