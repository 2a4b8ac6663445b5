"""The one clock of the mappers."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  the one clock of the mappers
