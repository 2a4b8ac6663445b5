"""What of a match the caller may see: in a list, what may not be seen is left out, which is no error.

Architecture section 2: whatever enters an answer passes `disclose`; a search on a masked element is an oracle.
"""

from collections.abc import Sequence

from fhir_server.engine.call import Call
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import NoLegalBasisError
from fhir_server.search.match import Candidate, matches
from fhir_server.search.tree import Query


async def visible_among(steps: Step, call: Call, query: Query, found: Sequence[Stored]) -> list[Stored]:
    """Those of the matches that may be shown, in their order."""
    await steps.foresee(call, found)
    return [one for match in found if (one := await visible(steps, call, query, match))]


async def visible(steps: Step, call: Call, query: Query, stored: Stored) -> Stored | None:
    """The match as it may be shown. Where it is shown masked, it has to match as it is shown, too."""
    seen = await shown(steps, call, stored)
    if seen is None or seen is stored or matches(query, candidate(seen)):
        return seen
    return None


async def shown(steps: Step, call: Call, stored: Stored) -> Stored | None:
    try:
        return await steps.disclose(call, stored)
    except NoLegalBasisError:
        return None


def candidate(stored: Stored) -> Candidate:
    """A stored resource as the exact match looks at it."""
    type, id = stored.key
    return Candidate(type, id, stored.last_updated, frozenset(stored.access), stored.resource)
