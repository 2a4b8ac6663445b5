"""A form, filled in and signed, as Parameters of $sign."""

import base64
from datetime import datetime
from typing import Any

from fhir_server.consent.form import forms
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json

Answer = bool | int | str | tuple[str, ...]


def response(code: str, language: str, answers: dict[str, Answer]) -> Json:
    items = []
    for link, value in answers.items():
        many = value if isinstance(value, tuple) else (value,)
        items.append({"linkId": link, "answer": [_answer(one) for one in many]})
    canonical = forms()[code, language].canonical
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": canonical, "item": items}


def _answer(value: Answer) -> Json:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    return {"valueCoding": {"code": value}}


def signature(who: str, now: datetime, **more: Any) -> Json:
    return {
        "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.7"}],
        "when": instant(now),
        "who": {"reference": who},
        "sigFormat": "image/png",
        "data": base64.b64encode(b"a drawn signature").decode(),
        **more,
    }


def signing(
    patient: str,
    now: datetime,
    answers: dict[str, Answer],
    code: str = "care",
    language: str = "en",
    changed: dict[str, Any] | None = None,
) -> Json:
    """`changed`: further parameters, or others in the place of these, by name; None takes one away."""
    given: dict[str, Any] = {
        "form": {"valueCanonical": forms()[code, language].canonical},
        "language": {"valueCode": language},
        "patient": {"valueReference": {"reference": f"Patient/{patient}"}},
        "answers": {"resource": response(code, language, {**answers, "understood": True})},
        "signature": {"valueSignature": signature(f"Patient/{patient}", now)},
        **(changed or {}),
    }
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, **value} for name, value in given.items() if value],
    }


CARE: dict[str, Answer] = {"treatment": True, "care-photography": True}
MARKETING: dict[str, Answer] = {
    "photo-marketing": True,
    "photo-marketing.channel": ("website", "print"),
    "photo-marketing.use": ("before-after",),
    "photo-marketing.anonymisation": "eyes-masked",
    "photo-marketing.months": 24,
    "photo-social": False,
}
COMMUNICATIONS: dict[str, Answer] = {
    "communications-email": True,
    "communications-sms": False,
    "communications-phone": False,
    "communications-post": True,
}
