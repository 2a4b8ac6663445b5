"""`date=ge2024-05-01&date=lt2024-05-02` on a parameter with one value: one narrow cover instead of two half-lines.

Only where a resource has at most one value do both ends speak of the same one.
https://hl7.org/fhir/R4/search.html#combining
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.search.types import bounds
from fhir_server.search.types.date import MOST_DAYS, DateIs, begins, breadth, covered
from fhir_server.search.types.kind import MOST_KEYWORDS, Cover


@dataclass(frozen=True, slots=True)
class DateRange:
    """A value that begins before `high` and ends after `low`, in microseconds."""

    low: int
    high: int
    zone: tzinfo | None = None

    @property
    def breadth(self) -> int:
        return breadth(self.high - self.low)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        """It begins inside, or began before and ends later."""
        most = min(most, MOST_DAYS)
        inside = begins(self.low, self.high - 1, most // 2, self.zone)
        across = bounds.crosses(covered(self.low, None, most // 2 - 1, self.zone))
        return () if inside is None or across is None else ((*inside, *across),)


def date_range(asked: Iterable[DateIs]) -> DateRange | None:
    """What all the predicates leave; None unless they have both a beginning and an end."""
    predicates = tuple(asked)
    low = max((low for each in predicates if (low := _ends_after(each)) is not None), default=None)
    high = min((high for each in predicates if (high := _begins_before(each)) is not None), default=None)
    zone = next((each.zone for each in predicates if each.zone is not None), None)
    return None if low is None or high is None else DateRange(low, high, zone)


def _ends_after(asked: DateIs) -> int | None:
    return {"ge": asked.low, "gt": asked.high, "sa": asked.high}.get(asked.prefix)


def _begins_before(asked: DateIs) -> int | None:
    return {"le": asked.high, "lt": asked.low, "eb": asked.low}.get(asked.prefix)
