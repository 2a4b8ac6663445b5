"""What is to be said of a resource though nothing of it is wrong: told by $validate, and with a write to who asks.

https://hl7.org/fhir/R4/http.html#ops: `Prefer: return=OperationOutcome` is for hints and warnings.
"""

from collections.abc import Iterator

from fhir_server.consent.paper import without_original
from fhir_server.kernel.errors import Issue
from fhir_server.kernel.json import Json
from fhir_server.media.photo_policy import lacking


def doubts(resource: Json) -> Iterator[Issue]:
    """Of any resource that is valid."""
    yield from lacking(resource)
    yield from without_original(resource)
