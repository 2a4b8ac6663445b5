"""Consents as a test wants them, and the head row that lists them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fhir_server.consent.purposes import SYSTEM
from fhir_server.consent.question import Ask
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
PHOTO = ResourceKey("Media", "profile-left")
SURGEON = ResourceKey("Practitioner", "surgeon")
EPOCH = 41


def ask(**changes: Any) -> Ask:
    asked = {"patient": "7", "purpose": "care-photography", "instant": NOON, "resource": PHOTO, "actor": SURGEON}
    return Ask(**{**asked, **changes})


def purpose(code: str, system: str = SYSTEM) -> Json:
    return {"system": system, "code": code}


def rule(kind: str | None = "permit", *codes: str, **more: Any) -> Json:
    written: Json = {"purpose": [purpose(code) for code in codes], **more} if codes else dict(more)
    return {"type": kind, **written} if kind else written


def consent(provision: Json | None, id: str = "c1", version: int = 2, **changes: Any) -> Json:
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    written: Json = {
        "resourceType": "Consent",
        "id": id,
        "meta": {"versionId": str(version)},
        "status": "active",
        "scope": {"coding": [scope]},
        "patient": {"reference": "Patient/7"},
        **changes,
    }
    return written if provision is None else {**written, "provision": provision}


def head(consents: Sequence[Json], patient: str = "7") -> Head:
    listed = {ResourceKey("Consent", found["id"]): int(found["meta"]["versionId"]) for found in consents}
    return Head(patient, EPOCH, listed)


PHOTOGRAPHY = rule("permit", "care-photography")
