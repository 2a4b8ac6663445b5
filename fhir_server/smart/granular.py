"""What follows the `?` of a granular scope: search parameters, every one of which a resource has to meet.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
R-SMART-056, -062: what is not understood grants nothing, for read as less it would grant the whole type.
"""

from functools import lru_cache
from urllib.parse import parse_qsl

from fhir_server.kernel.errors import FhirError
from fhir_server.search.parse import parse
from fhir_server.search.tree import Condition, IdIn, Updated, ValueIn

ANY_TYPE = "*"
_COMMON = "Resource"
"""What a scope for all types is limited by, every type must have."""

_MOST_PAIRS = 10
_MOST_CHARACTERS = 2_048


@lru_cache(maxsize=1024)
def limits(type: str, query: str) -> tuple[Condition, ...] | None:
    """The conditions, all to be met; None for what is refused.

    Refused on purpose: modifiers (a scope says what it grants, not what it leaves out), chains and `_has` (what one
    resource grants does not hang on another), parameters that shape a result, and a parameter without a value.
    """
    if not query or len(query) > _MOST_CHARACTERS:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_PAIRS)
        found = [_limit(_COMMON if type == ANY_TYPE else type, *pair) for pair in pairs]
    except (ValueError, FhirError):
        return None
    return tuple(limit for limit in found if limit) if all(found) else None


def _limit(type: str, name: str, value: str) -> Condition | None:
    if not value or not name.replace("-", "").removeprefix("_").isalnum():
        return None
    match [each.condition for each in parse(type, [(name, value)]).filters]:
        case [ValueIn(_, _, False) | IdIn() | Updated() as condition]:
            return condition
        case _:
            return None
