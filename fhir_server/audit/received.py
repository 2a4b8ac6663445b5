"""An AuditEvent that a client sent is kept as it was sent, and marked: nobody takes it for one of the server's own.

R-BALP-019; https://hl7.org/fhir/R4/resource.html#Meta.tag
"""

from fhir_server.kernel.json import Json

_SYSTEM = "urn:aesthetic-fhir-server:audit-origin"
RECEIVED: Json = {"system": _SYSTEM, "code": "received", "display": "Received from a client"}


def marked(event: Json) -> Json:
    """Whatever it said of its origin itself does not count."""
    meta = event.get("meta", {})
    others = [tag for tag in meta.get("tag", []) if tag.get("system") != _SYSTEM]
    return {**event, "meta": {**meta, "tag": [*others, RECEIVED]}}
