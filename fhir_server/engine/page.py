"""What a search or a history answers: one page, and where it goes on.

https://hl7.org/fhir/R4/http.html#paging
"""

from dataclasses import dataclass

from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """Matches in order; `next` where there is more; `total` where it is known exactly.

    `included`: what comes with the matches.
    """

    matches: tuple[Stored, ...]
    next: Position | None = None
    total: int | None = None
    included: tuple[Stored, ...] = ()
