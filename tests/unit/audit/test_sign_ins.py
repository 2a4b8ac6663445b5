"""What happens at the door, as the log tells it."""

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from fhir_server.audit.sign_ins import SignInLog
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.signin.witnessed import Action
from tests.fakes.clinic import BASE, FakeClinic

pytestmark = pytest.mark.anyio


async def told(action: str, **given: object) -> Json:
    clinic = FakeClinic()
    who = {"succeeded": True, "subject": "u1", "name": "Ana", "fhir_user": "Practitioner/7", "address": "192.0.2.7"}
    who["factor"] = ""
    await SignInLog(clinic.audit, BASE).witness(action, **{**who, **given})  # type: ignore[arg-type]  # by name
    [(_, raw)] = clinic.memory.events.values()
    AuditEvent.model_validate_json(raw)
    event: Json = json.decode(raw)
    return event


@pytest.mark.parametrize("action", list(Action))
async def test_every_action_is_a_valid_event_of_dicoms_kinds(action: Action) -> None:
    event = await told(action)

    assert event["type"]["code"] in {"110114", "110113"}
    assert event["subtype"][0]["code"] in {"110122", "110123", "110137"}
    assert event["outcomeDesc"] == action


async def test_a_sign_in_names_the_person_and_the_address() -> None:
    event = await told(Action.SIGN_IN)

    assert event["outcome"] == "0"
    assert event["agent"][0]["who"] == {"reference": "Practitioner/7", "identifier": {"value": "u1"}}
    assert event["agent"][0]["network"] == {"address": "192.0.2.7", "type": "2"}


async def test_whoever_is_not_known_is_not_named() -> None:
    event = await told(Action.PASSWORD, succeeded=False, subject="", name="", fhir_user=None, address="")

    assert event["outcome"] == "4"
    assert event["agent"][0] == {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
        "requestor": True,
    }


async def test_a_user_who_is_nobody_in_the_record_is_named_by_their_id() -> None:
    event = await told(Action.SIGN_OUT, fhir_user=None)

    assert event["agent"][0]["who"] == {"identifier": {"value": "u1"}}


async def test_t75_the_factor_tells_apart_who_shares_a_user() -> None:
    event = await told(Action.SIGN_IN, factor="passkey/0a1b2c3d4e5f6071")

    assert event["entity"][0]["name"] == "passkey/0a1b2c3d4e5f6071"
