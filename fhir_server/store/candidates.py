"""The last word on a candidate that tokens brought up.

sealed-storage section 2: a token is a candidate, never an answer.
"""

from collections.abc import Callable

from fhir_server.engine.stored import Stored
from fhir_server.search.match import Candidate, matcher
from fhir_server.search.tree import Query


def decided(query: Query) -> Callable[[Stored], bool]:
    """Decided on the opened resource: a token only made it a candidate."""
    meets = matcher(query)

    def decide(stored: Stored) -> bool:
        type, id = stored.key
        return meets(Candidate(type, id, stored.last_updated, frozenset(stored.access), stored.resource))

    return decide
