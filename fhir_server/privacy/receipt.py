"""A receipt: what was destroyed, what stayed and why, signed, in the patient's file.

GDPR Art. 5(2); M17: it can be verified without trusting the server that wrote it.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.engine.classification import ANSWER, RECEIPT, RECEIPT_SYSTEM
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import WITHIN, Photo
from fhir_server.privacy.ports import Final

RECEIPT_TYPE = "receipt+jws"
_TITLES = {RECEIPT: "Receipt of destruction", ANSWER: "Receipt of an answered request"}
_LATER = "After the next rotation of the root key; a second receipt says when."


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo that stays, and the consent or rule that covers it, or the law by which it is restricted, not destroyed.

    A restricted one is shown to nobody: there is no basis on which it could be (GDPR Art. 18).
    """

    photo: Photo
    because: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """`cause` is the versioned reference of the Consent that was withdrawn."""

    patient: str
    cause: str
    gone: tuple[Photo, ...]
    kept: tuple[tuple[Photo, str], ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure by class. `since`: when it became inaccessible; `classes`: each with what was decided and why.

    `told`: the recipients who are to be told.
    """

    patient: str
    cause: str
    since: datetime
    classes: tuple[tuple[str, str], ...]
    keys: tuple[bytes, ...]
    photos: tuple[Photo, ...]
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A request by which somebody used a right, carried out. `due`: the last day that there was for it.

    `outcome`: what was done, each by a code with a text; `told`: the recipients who are to be told.
    """

    patient: str
    cause: str
    right: str
    received: str
    due: str | None
    outcome: tuple[tuple[str, str], ...]
    told: tuple[str, ...]


class Scribe:
    """`sign` makes a compact JWS of a payload; `keeper` is what the keeper of the root key vouches for.

    `name` gives each text a name of its own, of hexadecimal digits, that nobody without the key can work out.
    """

    def __init__(self, sign: Callable[[bytes], str], name: Callable[[str], str], clinic: str, keeper: str) -> None:
        self._sign, self.name, self._clinic, self._keeper = sign, name, clinic, keeper

    def signature(self, payload: bytes) -> str:
        """A compact JWS of it, as a receipt has."""
        return self._sign(payload)

    def key(self, receipt: Receipt) -> ResourceKey:
        """One for each cause, and the same whenever it is asked for.

        Who could foresee it would put something else there first, and the receipt would never be filed.
        """
        return self.erasure_key(receipt.patient, receipt.cause)

    def erasure_key(self, patient: str, cause: str) -> ResourceKey:
        return ResourceKey("DocumentReference", f"receipt-{self.name(f'{patient} {cause}')[:40]}")

    def notice_key(self, patient: str, cause: str, client: str) -> ResourceKey:
        """Of the Task by which a recipient is told."""
        return ResourceKey("Task", f"inform-{self.name(f'{patient} {cause} {client}')[:40]}")

    def written(self, key: ResourceKey, receipt: Receipt, now: datetime) -> Json:
        """The receipt as a DocumentReference."""
        return self._document(
            key, self._statement(receipt, now), receipt.patient, receipt.cause, _summary(receipt), now
        )

    def erasure(self, key: ResourceKey, erased: Erased, now: datetime) -> Json:
        """The receipt of an erasure by class, likewise."""
        told = (
            f"{', '.join(f'{name} {said}' for name, said in erased.classes)}; {len(erased.photos)} photo(s) destroyed."
        )
        return self._document(key, self._erasure(erased, now), erased.patient, erased.cause, told, now)

    def answer(self, key: ResourceKey, answered: Answered, now: datetime) -> Json:
        """The receipt of a request that was carried out."""
        statement = {
            **self._head(answered.patient, answered.cause, now),
            "kind": ANSWER,
            "right": answered.right,
            "received": answered.received,
            "due": answered.due,
            "outcome": [{"what": code, "how": text} for code, text in answered.outcome],
            "recipientsToBeTold": list(answered.told),
        }
        told = f"{answered.right}: answered on {instant(now)[:10]}, due on {answered.due}."
        return self._document(key, statement, answered.patient, answered.cause, told, now)

    def final_key(self, patient: str, final: Final) -> ResourceKey:
        """One for each cause and rotation."""
        keys = b"".join(sorted(final.keys)).hex()
        return ResourceKey("DocumentReference", f"receipt-{self.name(f'{patient} {final.cause} {keys}')[:40]}")

    def final(self, key: ResourceKey, final: Final, patient: str, first: ResourceKey | None, now: datetime) -> Json:
        """The second receipt; `first` is that of the destruction, where there is one."""
        statement = {
            **self._head(patient, final.cause, now),
            "unrecoverableSince": instant(final.since),
            "keys": [one.hex() for one in final.keys],
            "checked": "everything else carried to a newer version of the root key, its backup restored and opened, "
            "the older versions destroyed",
            "keeper": self._keeper,
        }
        told = f"{len(final.keys)} destroyed key(s) unrecoverable: no older copy of the keys opens them."
        document = self._document(key, statement, patient, final.cause, told, now)
        return (
            {**document, "relatesTo": [{"code": "appends", "target": {"reference": str(first)}}]} if first else document
        )

    def _document(
        self, key: ResourceKey, statement: dict[str, Any], patient: str, cause: str, told: str, now: datetime
    ) -> Json:
        signed, kind = self._sign(json.encode(statement)), str(statement["kind"])
        title = _TITLES[kind]
        return {
            "resourceType": "DocumentReference",
            "id": key.id,
            "status": "current",
            "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": kind, "display": title}]},
            "subject": {"reference": f"Patient/{patient}"},
            "date": instant(now),
            "description": told,
            "content": [
                {
                    "attachment": {
                        "contentType": "application/jose",
                        "data": base64.b64encode(signed.encode()).decode(),
                        "title": f"{title} (signed)",
                        "creation": instant(now),
                    }
                }
            ],
            "context": {"related": [{"reference": cause}]},
        }

    def _erasure(self, erased: Erased, now: datetime) -> dict[str, Any]:
        return {
            **self._head(erased.patient, erased.cause, now),
            "inaccessibleSince": instant(erased.since),
            "classes": [{"class": name, "decision": said} for name, said in erased.classes],
            "keys": [key.hex() for key in erased.keys],
            "photos": [{"photo": f"Binary/{photo.id}", "key": photo.key.hex()} for photo in erased.photos],
            "checked": "keys destroyed, sealed bytes deleted, opening tried and failed",
            "unrecoverable": f"{_LATER} {self._keeper}",
            "recipientsToBeTold": list(erased.told),
        }

    def _head(self, patient: str, cause: str, now: datetime) -> dict[str, Any]:
        return {
            "kind": RECEIPT,
            "clinic": self._clinic,
            "patient": f"Patient/{patient}",
            "cause": cause,
            "issued": instant(now),
        }

    def _statement(self, receipt: Receipt, now: datetime) -> dict[str, Any]:
        return {
            **self._head(receipt.patient, receipt.cause, now),
            "destroyed": [
                {
                    "photo": _named(photo),
                    "carriedBy": str(photo.owner),
                    "key": photo.key.hex(),
                    "inaccessibleSince": instant(photo.since),
                    "checked": "key destroyed, sealed bytes deleted, opening tried and failed",
                }
                for photo in receipt.gone
            ],
            "kept": [
                {"photo": _named(photo), "carriedBy": str(photo.owner), "because": why} for photo, why in receipt.kept
            ],
            "unrecoverable": f"{_LATER} {self._keeper}",
        }


def _named(photo: Photo) -> str:
    """What stood in a resource itself was all of the pictures in it."""
    return "within" if photo.id.startswith(WITHIN) else f"Binary/{photo.id}"


def _summary(receipt: Receipt) -> str:
    return f"{len(receipt.gone)} photo(s) destroyed, {len(receipt.kept)} kept on another basis."
