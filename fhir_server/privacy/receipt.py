"""A receipt: what was destroyed, what stayed and why, signed, in the patient's file.

GDPR Art. 5(2); M17: it can be verified without trusting the server that wrote it.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.engine.classification import RECEIPT, RECEIPT_SYSTEM
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import Photo

RECEIPT_TYPE = "receipt+jws"


@dataclass(frozen=True, slots=True)
class Receipt:
    """`cause` is the versioned reference of the Consent that was withdrawn."""

    patient: str
    cause: str
    gone: tuple[Photo, ...]
    kept: tuple[tuple[Photo, str], ...]


class Scribe:
    """`sign` makes a compact JWS of a payload; `destruction` is the key provider's own word on when it is final.

    `name` gives each text a name of its own, of hexadecimal digits, that nobody without the key can work out.
    """

    def __init__(self, sign: Callable[[bytes], str], name: Callable[[str], str], clinic: str, destruction: str) -> None:
        self._sign, self._name, self._clinic, self._destruction = sign, name, clinic, destruction

    def key(self, receipt: Receipt) -> ResourceKey:
        """One for each cause, and the same whenever it is asked for.

        Who could foresee it would put something else there first, and the receipt would never be filed.
        """
        return ResourceKey("DocumentReference", f"receipt-{self._name(f'{receipt.patient} {receipt.cause}')[:40]}")

    def written(self, key: ResourceKey, receipt: Receipt, now: datetime) -> Json:
        """The receipt as a DocumentReference."""
        signed = self._sign(json.encode(self._statement(receipt, now)))
        return {
            "resourceType": "DocumentReference",
            "id": key.id,
            "status": "current",
            "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": RECEIPT, "display": "Receipt of destruction"}]},
            "subject": {"reference": f"Patient/{receipt.patient}"},
            "date": instant(now),
            "description": _summary(receipt),
            "content": [
                {
                    "attachment": {
                        "contentType": "application/jose",
                        "data": base64.b64encode(signed.encode()).decode(),
                        "title": "Receipt of destruction (signed)",
                        "creation": instant(now),
                    }
                }
            ],
            "context": {"related": [{"reference": receipt.cause}]},
        }

    def _statement(self, receipt: Receipt, now: datetime) -> dict[str, Any]:
        return {
            "kind": RECEIPT,
            "clinic": self._clinic,
            "patient": f"Patient/{receipt.patient}",
            "cause": receipt.cause,
            "issued": instant(now),
            "destroyed": [
                {
                    "photo": f"Binary/{photo.id}",
                    "carriedBy": str(photo.owner),
                    "key": photo.key.hex(),
                    "inaccessibleSince": instant(photo.since),
                    "checked": "key destroyed, sealed bytes deleted, opening tried and failed",
                }
                for photo in receipt.gone
            ],
            "kept": [
                {"photo": f"Binary/{photo.id}", "carriedBy": str(photo.owner), "because": why}
                for photo, why in receipt.kept
            ],
            "unrecoverable": self._destruction,
        }


def _summary(receipt: Receipt) -> str:
    return f"{len(receipt.gone)} photo(s) destroyed, {len(receipt.kept)} kept on another basis."
