"""Where a resource says that it carries a template of a face."""

import pytest

from fhir_server.kernel.json import Json
from fhir_server.privacy.templates import FACE_TEMPLATE, SYSTEM, carries_template

CODING = {"system": SYSTEM, "code": FACE_TEMPLATE}
CONCEPT = {"coding": [{"system": "urn:else", "code": "x"}, CODING]}


@pytest.mark.parametrize(
    "said",
    [
        {"code": CONCEPT},
        {"type": CONCEPT},
        {"category": [{"text": "x"}, CONCEPT]},
        {"modality": CONCEPT},
        {"meta": {"tag": [CODING]}},
        {"component": [{"code": {}}, {"code": CONCEPT}]},
        {"content": [{"format": CODING}]},
        {"contained": [{"code": CONCEPT}]},
        {"entry": [{"fullUrl": "x"}, {"resource": {"contained": [{"type": CONCEPT}]}}]},
    ],
)
def test_s_16_what_is_marked_is_found(said: Json) -> None:
    assert carries_template(said)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"code": FACE_TEMPLATE, "type": [FACE_TEMPLATE]},
        {"code": {"text": FACE_TEMPLATE}},
        {"code": {"coding": [{"code": FACE_TEMPLATE}]}},
        {"meta": {"security": [CODING]}},
        {"content": {"contentType": "image/jpeg"}},
        {"provision": {"code": [CONCEPT]}},
    ],
)
def test_s_16_what_only_speaks_of_one_is_none(said: Json) -> None:
    assert not carries_template(said)
