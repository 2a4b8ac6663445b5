"""What no client deletes: photos of patients, consents, and the evidence of them."""

from dataclasses import replace

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.classification import RECEIPT_SYSTEM, SIGNED_FORM
from fhir_server.engine.pipeline import Pipeline
from fhir_server.kernel.errors import ConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.keeping import Keeping
from tests.unit.engine.calls import SERVER, call, running

pytestmark = pytest.mark.anyio

PHOTO = {"contentType": "image/jpeg", "url": "Binary/1"}
ANN = {"subject": {"reference": "Patient/ann"}}
FORM = {"type": {"coding": [{"system": RECEIPT_SYSTEM, "code": SIGNED_FORM}]}}
KEPT = [
    ("Media", {**ANN, "content": PHOTO, "status": "completed"}),
    ("Media", {**ANN, "content": PHOTO, "status": "entered-in-error"}),
    *(("Consent", {"status": status}) for status in ("active", "inactive", "rejected", "entered-in-error")),
    ("Provenance", {"target": [{"display": "x"}, {"reference": "Consent/c/_history/2"}]}),
    ("Provenance", {"target": [{"reference": "Media/m"}]}),
    ("DocumentReference", FORM),
    ("QuestionnaireResponse", {"questionnaire": "urn:aesthetic-fhir-server:form:care|1"}),
]
FREE = [
    ("Media", {**ANN, "content": {"title": "Nothing yet"}, "status": "preparation"}),
    ("Media", {"content": PHOTO, "status": "completed"}),
    *(("Consent", {"status": status}) for status in ("draft", "proposed")),
    ("Provenance", {"target": [{"reference": "Appointment/a"}]}),
    ("DocumentReference", {"type": {"text": "Letter"}}),
    ("Observation", ANN),
]


async def deleted(type: str, resource: Json, *, by_server: bool = False) -> bool:
    at = running(Keeping(SERVER))
    key = ResourceKey(type, "x")
    full = {"resourceType": type, "id": "x", **resource}
    await at.clinic.resources.commit([Change(key, full)])
    asking = call(Interaction.DELETE, type, "x")
    await at.engine.delete(replace(asking, principal=SERVER) if by_server else asking)
    return at.clinic.memory.current[key].deleted


@pytest.mark.parametrize(("type", "resource"), KEPT)
async def test_t71_a_photo_a_consent_and_its_evidence_are_not_deleted(type: str, resource: Json) -> None:
    with pytest.raises(ConflictError, match="erase"):
        await deleted(type, resource)

    assert await deleted(type, resource, by_server=True), "a duty of the server deletes what nothing covers"


@pytest.mark.parametrize(("type", "resource"), FREE)
async def test_t71_anything_else_is(type: str, resource: Json) -> None:
    assert await deleted(type, resource)


async def test_a_step_that_looks_at_deletions_hinders_no_write() -> None:
    change = Change(ResourceKey("Consent", "x"), {"resourceType": "Consent", "id": "x", "status": "active"})

    assert await Pipeline((Keeping(SERVER),)).prepare(call(Interaction.UPDATE, "Consent", "x"), change) is change
