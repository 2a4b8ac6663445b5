"""A before/after series of the demo clinic, drawn here: two views at three times, of a face that nobody has."""

import base64
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageDraw

from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import BACKGROUND, DISTANCE, EXPRESSION, LIGHTING, SERIES, TIMEPOINT

PATIENT = "demo-p4"
_SIZE = (480, 640)
_SKIN, _SHADE, _LINE, _WALL = (224, 187, 164), (206, 166, 144), (150, 104, 90), (104, 120, 138)
_VIEWS = {"front": "Front", "left": "Left side"}
_TIMES = (
    ("before", "2026-01-20T08:50:00+01:00", 5),
    ("during", "2026-01-20T09:20:00+01:00", 5),
    ("after", "2026-02-03T09:00:00+01:00", 1),
)
"""Timepoint, when, and how many lines the forehead shows."""
_TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}


def series() -> Iterator[Json]:
    """The Media, with their bytes."""
    for view, name in _VIEWS.items():
        for timepoint, taken, lines in _TIMES:
            yield _media(view, name, timepoint, taken, _drawn(view, lines))


def _media(view: str, name: str, timepoint: str, taken: str, picture: bytes) -> Json:
    return {
        "resourceType": "Media",
        "id": f"{PATIENT}-{view}-{timepoint}",
        "meta": {"security": [_TEST_DATA]},
        "extension": [
            _concept(TIMEPOINT, timepoint, timepoint.capitalize()),
            _concept(EXPRESSION, "raised-brows", "Raised brows"),
            _concept(LIGHTING, "two-softboxes", "Two softboxes at 45°"),
            _concept(BACKGROUND, "grey", "Grey"),
            {"url": DISTANCE, "valueQuantity": _metres()},
            {"url": SERIES, "valueIdentifier": {"system": f"{SERIES}:demo", "value": "forehead-1"}},
        ],
        "status": "completed",
        "view": {"coding": [{"system": "urn:aesthetic-fhir-server:view", "code": view, "display": name}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "encounter": {"reference": f"Encounter/{PATIENT}-encounter-1"},
        "partOf": [{"reference": f"Procedure/{PATIENT}-procedure-1"}],
        "createdDateTime": taken,
        "operator": {"reference": "Practitioner/demo-practitioner-1"},
        "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "52795006", "display": "Forehead"}]},
        "content": {"contentType": "image/jpeg", "data": base64.b64encode(picture).decode(), "title": timepoint},
    }


def _concept(url: str, code: str, display: str) -> Json:
    return {"url": url, "valueCodeableConcept": {"coding": [{"system": url, "code": code, "display": display}]}}


def _metres() -> Json:
    return {"value": 1, "unit": "m", "system": "http://unitsofmeasure.org", "code": "m"}


def _drawn(view: str, lines: int) -> bytes:
    image = Image.new("RGB", _SIZE, _WALL)
    draw = ImageDraw.Draw(image)
    draw.rectangle((190, 540, 290, 640), fill=_SHADE)
    draw.ellipse((110, 80, 370, 580), fill=_SKIN)
    front = view == "front"
    nose = [(240, 300), (262, 400), (224, 400)] if front else [(118, 300), (84, 402), (130, 404)]
    draw.polygon(nose, fill=_SHADE)
    for left in (150, 270) if front else (140,):
        draw.ellipse((left, 262, left + 60, 290), fill="white")
        draw.ellipse((left + 20, 262, left + 46, 290), fill=(84, 66, 58))
        draw.arc((left - 6, 226, left + 66, 270), 200, 340, fill=_LINE, width=5)
    draw.arc((190, 430, 290, 500) if front else (124, 430, 194, 490), 20, 160, fill=_LINE, width=6)
    for line in range(lines):
        top = 140 + 16 * line
        draw.arc((160, top, 320, top + 40) if front else (128, top, 250, top + 40), 210, 330, fill=_LINE, width=2)
    written = BytesIO()
    image.save(written, "JPEG", quality=85)
    return written.getvalue()
