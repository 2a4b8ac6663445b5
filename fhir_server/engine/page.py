"""What a search or a history answers: one page, and where it goes on.

https://hl7.org/fhir/R4/http.html#paging
"""

from dataclasses import dataclass, replace

from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.fhir.view import View


@dataclass(frozen=True, slots=True)
class Page:
    """Matches in order; `next` where there is more; `total` where it is known exactly.

    `included`: what comes with the matches.
    """

    matches: tuple[Stored, ...]
    next: Position | None = None
    total: int | None = None
    included: tuple[Stored, ...] = ()

    def seen_through(self, view: View) -> "Page":
        """What a client wants to be shown of each resource."""
        if view.is_whole:
            return self
        matches, included = (tuple(one.seen_through(view) for one in some) for some in (self.matches, self.included))
        return replace(self, matches=matches, included=included)
