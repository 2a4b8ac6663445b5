"""The last word on a candidate that tokens brought up.

sealed-storage section 2: a token is a candidate, never an answer.
"""

from fhir_server.engine.stored import Stored
from fhir_server.search.match import Candidate, matches
from fhir_server.search.tree import Query


def meets(query: Query, stored: Stored) -> bool:
    """Decided on the opened resource: a token only made it a candidate."""
    type, id = stored.key
    return matches(query, Candidate(type, id, stored.last_updated, frozenset(stored.access), stored.resource))
