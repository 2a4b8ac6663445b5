"""JSON Merge Patch: an object that has what shall change, null for what shall go. An array is replaced as a whole.

RFC 7396. R4 names no such patch, but https://hl7.org/fhir/R4/http.html#patch leaves room for one, and clients send it.
"""

from typing import Any

from fhir_server.engine.interactions import Edit
from fhir_server.engine.patch.limits import accepted
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json

MERGE_PATCH = "application/merge-patch+json"


def merge_patch(document: object) -> Edit:
    """The edit that the document describes; it leaves what it is given as it was.

    Its work is bounded by the document, whose depth the reader limits, and by the resource: each object is copied once.
    """
    if not isinstance(document, dict):
        raise InvalidRequestError("A JSON Merge Patch of a resource is an object.")

    def edit(resource: Json) -> Json:
        return accepted(resource, _merged(resource, document))

    return edit


def _merged(target: object, patch: Any) -> Any:  # noqa: ANN401  JSON is any value
    """RFC 7396 section 2: MergePatch(Target, Patch)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
