"""The event under which the seal of a row that is no resource comes into the log: a user's row was written.

DICOM PS3.15 A.5.3.10 (Security Alert). Who did it, and what was changed, is in an event of its own.
"""

from datetime import datetime

from fhir_server.audit.balp import DCM, concept
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json

_ALERT: Json = {"system": DCM, "code": "110113", "display": "Security Alert"}
_ATTRIBUTES: Json = {"system": DCM, "code": "110137", "display": "User Security Attributes Changed"}
_WORDS = "A user's row was written; its seal is in the log."


class RowWritten:
    """`server` is the FHIR base of the observer."""

    def __init__(self, server: str) -> None:
        self._server = server

    def event(self, event_id: str, recorded: datetime) -> bytes:
        observer = {"identifier": {"system": "urn:ietf:rfc:3986", "value": self._server}}
        event: Json = {
            "resourceType": "AuditEvent",
            "id": event_id,
            "recorded": instant(recorded),
            "type": _ALERT,
            "subtype": [_ATTRIBUTES],
            "action": "U",
            "outcome": "0",
            "outcomeDesc": _WORDS,
            "agent": [{"type": concept((DCM, "110150")), "who": observer, "requestor": False}],
            "source": {"observer": observer},
        }
        return json.encode(event)
