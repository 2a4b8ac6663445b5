"""The signed form as a document that people can read: the exact text, the answers, who signed and when.

Requirements S105, T92: HTML with its hash, in the patient's file. https://hl7.org/fhir/R4/documentreference.html
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from html import escape

from fhir_server.consent.answers import Answers, Value
from fhir_server.consent.signature import Sitting
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

TYPE = "signed-consent-form"
SHA256 = "urn:aesthetic-fhir-server:sha-256"
_SYSTEM = "urn:aesthetic-fhir-server:document-type"
_WORDS = {
    "en": {"yes": "Yes", "no": "No", "signed": "Signed", "by": "by", "text": "Text", "undo": "To withdraw"},
    "fr": {"yes": "Oui", "no": "Non", "signed": "Signé", "by": "par", "text": "Texte", "undo": "Pour retirer"},
}


def page(sitting: Sitting, answers: Answers, clinic: str, link: str) -> bytes:
    """`link`: where what was agreed to can be taken back without an account."""
    return "\n".join(_lines(sitting, answers, clinic, link)).encode()


def _lines(sitting: Sitting, answers: Answers, clinic: str, link: str) -> Iterator[str]:
    form, words = sitting.form, _WORDS[sitting.form.language]
    title = escape(str(form.questionnaire["title"]))
    yield f'<!DOCTYPE html>\n<html lang="{form.language}">'
    yield f'<head><meta charset="utf-8"><title>{title}</title></head>\n<body>'
    yield f"<h1>{title}</h1>\n<p>{escape(clinic)}</p>"
    for linked, item in form.items.items():
        yield f"<p>{escape(str(item['text']))}</p>"
        if linked in answers:
            said = ", ".join(escape(_said(item, value, words["yes"], words["no"])) for value in answers[linked])
            yield f"<p><strong>{said}</strong></p>"
    yield f"<p>{words['signed']} {escape(sitting.when)} {words['by']} {sitting.signer}</p>"
    yield f"<p>{words['text']} {escape(form.canonical)} ({form.language}), SHA-256 {form.sha256}</p>"
    yield f'<p>{words["undo"]}: <a href="{escape(link)}">{escape(link)}</a></p>'
    yield "</body>\n</html>"


def _said(item: Json, value: Value, yes: str, no: str) -> str:
    if isinstance(value, bool):
        return yes if value else no
    options = {one["valueCoding"]["code"]: one["valueCoding"]["display"] for one in item.get("answerOption", [])}
    return str(options.get(value, value))


def document(key: ResourceKey, sitting: Sitting, html: bytes, now: datetime) -> Json:
    """The page as a DocumentReference."""
    attachment = {
        "extension": [{"url": SHA256, "valueString": hashlib.sha256(html).hexdigest()}],
        "contentType": "text/html; charset=utf-8",
        "language": sitting.form.language,
        "data": base64.b64encode(html).decode(),
        "size": len(html),
        # Attachment.hash is a SHA-1 by definition; the other is beside it.
        "hash": base64.b64encode(hashlib.sha1(html, usedforsecurity=False).digest()).decode(),
        "title": sitting.form.questionnaire["title"],
        "creation": instant(now),
    }
    return {
        "resourceType": "DocumentReference",
        "id": key.id,
        "status": "current",
        "type": {
            "coding": [
                {"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"},
                {"system": _SYSTEM, "code": TYPE},
            ]
        },
        "subject": {"reference": f"Patient/{sitting.patient}"},
        "date": instant(now),
        "author": [{"reference": str(sitting.signer)}],
        "description": sitting.form.questionnaire["title"],
        "content": [{"attachment": attachment}],
    }
