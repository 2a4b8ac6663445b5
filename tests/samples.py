"""Resources as a test wants them: a patient, a consent, a photo; and the real bundles, where they are."""

import base64
import gzip
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.consent.purposes import SYSTEM
from fhir_server.consent.terms import CHANNEL, USE
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.media.formats import recognise
from tests.unit.media import pictures

SYNTHEA = Path(__file__).parents[1].parent / "shared/data/synthea"


def patient(family: str = "Sample", **more: Any) -> Json:
    return {"resourceType": "Patient", "name": [{"family": family, "given": ["Ana"]}], **more}


def consent(patient_id: str, code: str = "care-photography", kind: str = "permit", **more: Any) -> Json:
    """An explicit consent as IHE PCF writes it, for one purpose."""
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    category = {"system": "http://loinc.org", "code": "59284-0"}
    policy = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}
    provision = {"type": kind, "purpose": [{"system": SYSTEM, "code": code}], **more.pop("provision", {})}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [category]}],
        "patient": {"reference": f"Patient/{patient_id}"},
        "dateTime": "2026-01-05",
        "policyRule": policy,
        "provision": provision,
        **more,
    }


def published(*channels: str, **more: Any) -> dict[str, Any]:
    """What a permission for marketing says beside its purpose: where, how, and what was signed."""
    where = [{"url": CHANNEL, "valueCode": channel} for channel in channels or ("website",)]
    use = {"url": USE, "valueString": "Before and after"}
    return {"extension": [*where, use], "sourceAttachment": {"title": "Signed form"}, **more}


def media(patient_id: str, data: bytes, **more: Any) -> Json:
    found = recognise(data)
    media_type = found.media_type if found and found.is_photo else "image/jpeg"
    return {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient_id}"},
        "content": {"contentType": media_type, "data": base64.b64encode(data).decode()},
        **more,
    }


def jpeg(size: int = 2_000, *, turned: int = 1, plain: bool = False) -> bytes:
    """A JPEG whose coded data is random, so that no two are alike; with the place where it was taken unless `plain`."""
    coded = secrets.token_bytes(size).replace(b"\xff", b"\x7e")
    before = [pictures.segment(0xE0, pictures.JFIF)]
    if not plain:
        before.append(pictures.exif_segment(turned))
    head = pictures.segment(0xDB, pictures.QUANTISATION) + pictures.segment(0xC0, pictures.FRAME)
    picture = head + pictures.segment(0xC4, pictures.HUFFMAN) + pictures.scan(coded)
    return pictures.jpeg(*before, picture=picture)


@cache
def synthea(name: str) -> Json:
    """A transaction of one whole synthetic patient. Not to be changed in place."""
    path = SYNTHEA / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"The real bundle {name} is not beside the repository.")
    found: Json = json.decode(gzip.decompress(path.read_bytes()))
    return found


def synthea_names() -> list[str]:
    return sorted(path.name.removesuffix(".json.gz") for path in SYNTHEA.glob("*.json.gz"))
