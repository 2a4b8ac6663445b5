"""The runtime's own state, as FHIR resources: the raw message, who claimed an identifier, what failed, how far it read.

Ids are keyed digests: who sees an id learns nothing of the message, and two runtimes with one key agree. Pure.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mappers.mapping.identifiers import OURS, identifier
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.loss_report import loss_report
from mappers.mapping.message import Message
from mappers.mapping.provenance import CONNECTOR, SHA_256
from mappers.mapping.result import Loss

RETENTION = f"{OURS}:retention"
KINDS = f"{OURS}:kind"
TASKS = f"{OURS}:task"
WAITS_FOR = f"{OURS}:waits-for"
READ_UNTIL = f"{OURS}:read-until"
CLAIM, AWAITED = "claim", "awaited"
_RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
_CREATE_ONLY = "*"


@dataclass(frozen=True, slots=True)
class Records:
    """`key`: a secret of this runtime's, the same after every start. `source`: which connection it speaks for."""

    source: str
    key: str = field(repr=False)

    def id(self, *parts: str) -> str:
        return hmac.digest(self.key.encode(), "|".join(parts).encode(), "sha256").hex()[:32]

    def message_id(self, key: str) -> str:
        return self.id("message", self.source, key)

    def claim_id(self, type: str, identifier: Json) -> str:
        """An Appointment and a Slot may bear the same number."""
        return self.id("claim", type, identifier["system"], identifier["value"])

    def raw(self, id: str, message: Message, kept: bytes, type: str, losses: Sequence[Loss], about: str | None) -> Json:
        """An entry that only creates: the second of two equal messages fails as a whole, and is then known."""
        found: Json = {
            "resourceType": "DocumentReference",
            "id": id,
            "meta": {"tag": [{"system": RETENTION, "code": "raw-message"}], "security": [_RESTRICTED]},
            "contained": [{**loss_report(losses), "id": "losses"}],
            "masterIdentifier": identifier(SHA_256, message.sha256),
            "identifier": [identifier(CONNECTOR, self.source)],
            "status": "current",
            "type": {"coding": [{"system": KINDS, "code": "raw-message"}], "text": "Message as received"},
            "date": written(message.received),
            "content": [{"attachment": {"contentType": type, "data": b64encode(kept).decode()}}],
            "context": {"related": [{"reference": "#losses"}]},
        }
        if about:
            found["subject"] = {"reference": about}
        return created(found)

    def claim(self, type: str, of: Json) -> Json:
        """An entry: the identifier was brought into this server by a mapper, once."""
        return created(_basic(self.claim_id(type, of), CLAIM))

    def awaited(self, claim_id: str) -> Json:
        """An entry: a message waits for this claim."""
        return created(_basic(claim_id, AWAITED))

    def task(self, id: str, code: str, status: str, why: str, now: datetime, waits_for: Sequence[str] = ()) -> Json:
        """An entry: a message that could not be taken (`dead-letter`), or not yet (`waiting`, for which claims)."""
        waits = [identifier(WAITS_FOR, one) for one in waits_for]
        return created(
            {
                "resourceType": "Task",
                "id": self.id("task", id),
                "identifier": [identifier(CONNECTOR, self.source), *waits],
                "status": status,
                "statusReason": {"text": why},
                "intent": "order",
                "code": {"coding": [{"system": TASKS, "code": code}]},
                "focus": {"reference": f"DocumentReference/{id}"},
                "authoredOn": written(now),
            }
        )

    def cursor(self, listed: str, until: str) -> Json:
        """An entry: how far a list of the source was read."""
        id = self.id("cursor", self.source, listed)
        basic: Json = {**_basic(id, "cursor"), "extension": [{"url": READ_UNTIL, "valueString": until}]}
        return {"resource": basic, "request": {"method": "PUT", "url": f"Basic/{id}"}}


def _basic(id: str, code: str) -> Json:
    return {"resourceType": "Basic", "id": id, "code": {"coding": [{"system": KINDS, "code": code}]}}


def created(resource: Json) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, "ifNoneMatch": _CREATE_ONLY}}


def replaced(resource: Json) -> Json:
    """An entry: this version instead of the one that was read."""
    url = f"{resource['resourceType']}/{resource['id']}"
    version = resource["meta"]["versionId"]
    return {"resource": resource, "request": {"method": "PUT", "url": url, "ifMatch": f'W/"{version}"'}}
