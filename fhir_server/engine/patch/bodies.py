"""Which kind of patch a body is: FHIRPath Patch as Parameters, those of JSON as themselves; in a Bundle, in a Binary.

https://hl7.org/fhir/R4/http.html#patch
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fhir_server.engine.interactions import Edit
from fhir_server.engine.patch.fhirpath_patch import fhirpath_patch
from fhir_server.engine.patch.json_patch import json_patch
from fhir_server.engine.patch.merge_patch import MERGE_PATCH, merge_patch
from fhir_server.kernel import json
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json

JSON_PATCH = "application/json-patch+json"
BY_TYPE: Mapping[str, Callable[[object], Edit]] = MappingProxyType({JSON_PATCH: json_patch, MERGE_PATCH: merge_patch})
"""The patches that have a media type of their own."""


def edit_of(resource: Json) -> Edit:
    """The patch that stands as a resource in an entry of a Bundle. 400 for what is none."""
    kind = resource.get("resourceType")
    if kind == "Parameters":
        return fhirpath_patch(resource)
    if kind == "Binary" and (read := BY_TYPE.get(str(resource.get("contentType")))):
        try:
            raw = base64.b64decode(str(resource.get("data", "")), validate=True)
        except binascii.Error:
            raise InvalidRequestError("The patch in the Binary is not base64.", expression="resource.data") from None
        return read(json.decode(raw))
    raise InvalidRequestError(f"A patch is a Parameters resource, or a Binary with {' or '.join(BY_TYPE)}.")
