"""patch: an edit made of a patch document, JSON Patch or FHIRPath Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from fhir_server.engine.patch.fhirpath_patch import fhirpath_patch
from fhir_server.engine.patch.json_patch import json_patch

__all__ = ["fhirpath_patch", "json_patch"]
