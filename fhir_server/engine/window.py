"""Which part of a history is asked for.

https://hl7.org/fhir/R4/http.html#history
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """`since`: versions made at or after it. `at`: those that were current at some time from its start to its end."""

    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
