"""Of what kind a resource is for the gate: a photo, proof, or the rest of the record.

Architecture sections 5 and 9: proof is what the clinic keeps to show that it acted rightly.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.consent.terms import level
from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.classification import key_class
from fhir_server.kernel.json import Json

PROOF_TYPES = frozenset({"AuditEvent", "Consent", "Provenance", "Task"})


def is_photo(resource: Mapping[str, Any]) -> bool:
    """Bytes that are here, that is: a link to what another server keeps, under its own rules, is no photo of ours."""
    if resource.get("resourceType") != "Media":
        return False
    content = resource.get("content", {})
    return "data" in content or str(content.get("url", "")).startswith("Binary/")


def is_proof(resource: Json) -> bool:
    return resource["resourceType"] in PROOF_TYPES or key_class(resource) is KeyClass.PROOF


def is_evidence(resource: Json) -> bool:
    """A picture in it, such as a signature or the scan of a signed form, is no photograph: it proves the consent."""
    return resource["resourceType"] != "Task" and is_proof(resource)


def rendition_of(media: Json) -> int:
    """How little of the person it shows; whatever is not known shows all."""
    return level(media) or 0
