"""Where a page ended. A keyset, not an offset: what is inserted meanwhile moves nothing.

https://hl7.org/fhir/R4/http.html#paging
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """In the order of the query: the row's seq and `Type/id`; and the keys of a sort that the rows do not lie in."""

    seq: int
    id: str
    keys: tuple[str | None, ...] = ()
