"""The last word on a candidate that tokens brought up.

sealed-storage section 2: a token is a candidate, never an answer.
"""

from collections.abc import Callable

from fhir_server.engine.stored import Stored
from fhir_server.search.match import Candidate, elements_of, matcher
from fhir_server.search.tree import Query


def decided(query: Query) -> Callable[[Stored], bool]:
    """Decided on the opened resource: a token only made it a candidate.

    Most answers leave as the bytes that were opened, so of most candidates no more is parsed than decides.
    """
    meets, elements = matcher(query), elements_of(query)

    def decide(stored: Stored) -> bool:
        type, id = stored.key
        resource = stored.resource if elements is None else stored.part(elements)
        return meets(Candidate(type, id, stored.last_updated, frozenset(stored.access), resource))

    return decide
