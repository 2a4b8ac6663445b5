"""Which part of a history is asked for.

https://hl7.org/fhir/R4/http.html#history
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """In microseconds since 1970. `since`: versions made at or after it; `at`: those current at some time within it."""

    since: int | None = None
    at: tuple[int, int] | None = None
