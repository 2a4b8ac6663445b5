"""Where a page ended. A keyset, not an offset: what is inserted meanwhile moves nothing.

https://hl7.org/fhir/R4/http.html#paging
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """In the order of the query: the row's seq and `Type/id`."""

    seq: int
    id: str
