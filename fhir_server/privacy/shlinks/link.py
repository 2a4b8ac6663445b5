"""What is kept of a SMART Health Link, as a document of the patient's; and the link itself. Pure.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html. Kept are the encrypted content and
what a request is compared with; the key, the secret in the address and the passcode are in the link, or said.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_server.engine.classification import HEALTH_LINK, RECEIPT_SYSTEM, is_health_link
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.authorship import SERVER

FILE_TYPE = "application/fhir+json"
"""Without the version of FHIR, which not every reader takes there."""
TRIES = 5
"""So many wrong passcodes end a link; the right one takes the count back."""

_OWN = "urn:aesthetic-fhir-server:health-link"
_SECRET, _PASSCODE, _TRIES, _EPOCH = (f"{_OWN}-{name}" for name in ("secret", "passcode", "tries", "epoch"))


@dataclass(frozen=True, slots=True)
class Kept:
    """`epoch`: that of the patient's consents when the content was gathered."""

    patient: str
    content: str
    secret: str
    passcode: str
    label: str
    epoch: int
    made: datetime
    expires: datetime


def document(kept: Kept, key: bytes) -> Json:
    """`key`: with which the passcode is digested, so that the document alone does not let anybody try passcodes."""
    attachment = {"contentType": "application/jose", "data": base64.b64encode(kept.content.encode()).decode()}
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": HEALTH_LINK}]},
        "subject": {"reference": f"Patient/{kept.patient}"},
        "date": instant(kept.made),
        **({"description": kept.label} if kept.label else {}),
        "extension": [
            {"url": _SECRET, "valueString": _digest(kept.secret)},
            {"url": _PASSCODE, "valueString": passcode_digest(key, kept.secret, kept.passcode)},
            {"url": _TRIES, "valueUnsignedInt": TRIES},
            {"url": _EPOCH, "valueUnsignedInt": kept.epoch},
        ],
        "content": [{"attachment": attachment}],
        "context": {"period": {"start": instant(kept.made), "end": instant(kept.expires)}},
    }


def address(url: str, key: bytes, kept: Kept) -> str:
    """What is handed over: `shlink:/…`."""
    payload = {
        "url": url,
        "exp": int(kept.expires.timestamp()),
        "flag": "P",
        "key": encoded(key),
        **({"label": kept.label} if kept.label else {}),
        "v": 1,
    }
    return f"shlink:/{encoded(json.encode(payload))}"


def is_ours(stored: Stored | None) -> bool:
    """One that the server wrote, and that was not ended."""
    return stored is not None and not stored.deleted and stored.author == SERVER and is_health_link(stored.resource)


def is_named(document: Json, secret: str) -> bool:
    return hmac.compare_digest(str(_value(document, _SECRET)), _digest(secret))


def is_over(document: Json, epoch: int, now: datetime) -> bool:
    """It ran out, too many passcodes were wrong, or a consent of the patient's changed since."""
    end = datetime.fromisoformat(document["context"]["period"]["end"])
    return now.astimezone(UTC) >= end or tries(document) <= 0 or _value(document, _EPOCH) != epoch


def tries(document: Json) -> int:
    """How many more passcodes may be wrong."""
    return int(str(_value(document, _TRIES)))


def with_tries(document: Json, left: int) -> Json:
    others = [one for one in document["extension"] if one.get("url") != _TRIES]
    return {**document, "extension": [*others, {"url": _TRIES, "valueUnsignedInt": left}]}


def opens(document: Json, key: bytes, secret: str, passcode: str) -> bool:
    return hmac.compare_digest(str(_value(document, _PASSCODE)), passcode_digest(key, secret, passcode))


def content_of(document: Json) -> str:
    """The JWE."""
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


def patient_of(document: Json) -> ResourceKey:
    return ResourceKey("Patient", document["subject"]["reference"].removeprefix("Patient/"))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def passcode_digest(key: bytes, secret: str, passcode: str) -> str:
    return hmac.new(key, f"{secret} {passcode}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _value(document: Json, url: str) -> object:
    """The server wrote each of them once."""
    [found] = [one for one in document["extension"] if one.get("url") == url]
    return next(value for name, value in found.items() if name.startswith("value"))
