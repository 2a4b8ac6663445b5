"""A patient's records are restricted by default, and can be read without software."""

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.records import RESTRICTED, Records
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.engine.calls import call

pytestmark = pytest.mark.anyio

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LABEL = {"system": SYSTEM, "code": "R", "display": "restricted"}
CREATE = call(Interaction.CREATE)


async def prepared(resource: Json | None, type: str = "Condition", *subjects: str) -> Json | None:
    change = Change(ResourceKey(type, "x"), resource, None, subjects)
    return (await Records().prepare(CREATE, change)).resource


def a(type: str, **more: object) -> Json:
    return {"resourceType": type, "id": "x", **more}


@pytest.mark.parametrize("type", sorted(RESTRICTED))
async def test_s_3_s_4_records_and_treatments_are_restricted(type: str) -> None:
    kept = await prepared(a(type, meta={"tag": [{"code": "t"}]}), type, "ann")

    assert kept is not None
    assert kept["meta"] == {"tag": [{"code": "t"}], "security": [LABEL]}


@pytest.mark.parametrize("code", ["R", "V", "N", "L"])
async def test_s_3_a_confidentiality_that_the_client_states_is_kept(code: str) -> None:
    stated = [{"system": SYSTEM, "code": code}]

    kept = await prepared(a("Condition", meta={"security": stated}), "Condition", "ann")

    assert kept is not None
    assert kept["meta"]["security"] == stated


async def test_s_3_other_labels_stay_beside_it() -> None:
    other = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}

    kept = await prepared(a("Condition", meta={"security": [other]}), "Condition", "ann")

    assert kept is not None
    assert kept["meta"]["security"] == [other, LABEL]


@pytest.mark.parametrize("type", ["Observation", "Patient", "Consent", "Appointment"])
async def test_s_3_what_is_no_record_of_illness_or_treatment_gets_no_label(type: str) -> None:
    kept = await prepared(a(type), type, "ann")

    assert kept is not None
    assert "meta" not in kept
    assert "text" in kept


async def test_t_54_what_names_no_patient_stays_as_it_is() -> None:
    sent = a("Condition")

    assert await prepared(sent) is sent


@pytest.mark.parametrize("type", ["AuditEvent", "Binary", "Bundle", "Parameters"])
async def test_t_54_what_has_no_narrative_gets_none(type: str) -> None:
    sent = a(type)

    assert await prepared(sent, type, "ann") is sent


async def test_a_deletion_stays_one() -> None:
    assert await prepared(None, "Condition", "ann") is None
