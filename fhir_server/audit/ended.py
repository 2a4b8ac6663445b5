"""The event that closes the lane of a writer that was killed: nothing of its came after.

DICOM PS3.15 A.5.3.1 (Application Activity), whose codes FHIR's AuditEvent takes over.
"""

from datetime import datetime

from fhir_server.audit.balp import DCM, concept
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json

_ACTIVITY: Json = {"system": DCM, "code": "110100", "display": "Application Activity"}
_STOP: Json = {"system": DCM, "code": "110121", "display": "Application Stop"}
_SERIOUS_FAILURE = "8"


class Ended:
    """`server` is the FHIR base of the observer."""

    def __init__(self, server: str) -> None:
        self._server = server

    def event(self, event_id: str, recorded: datetime) -> bytes:
        writer, _, number = event_id.rpartition("-")
        observer = {"identifier": {"system": "urn:ietf:rfc:3986", "value": self._server}}
        event: Json = {
            "resourceType": "AuditEvent",
            "id": event_id,
            "recorded": instant(recorded),
            "type": _ACTIVITY,
            "subtype": [_STOP],
            "action": "E",
            "outcome": _SERIOUS_FAILURE,
            "outcomeDesc": f"The writer {writer} ended without a word, after {int(number) - 1} events.",
            "agent": [{"type": concept((DCM, "110150")), "who": observer, "requestor": False}],
            "source": {"observer": observer},
        }
        return json.encode(event)
