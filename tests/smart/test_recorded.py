"""What the authorization server does stands in the log: R-BALP-011, -015; and no secret anywhere."""

import base64

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import InProcess, read
from tests.smart.apps import SECRET, App, Pkce
from tests.trail import said
from tests.unit.audit.profiles import faults

pytestmark = pytest.mark.anyio

IUA_71 = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71"
SCOPE = "launch/patient patient/*.rs openid offline_access"


def unmet(event: Json) -> list[str]:
    """R-BALP-015: both entities of the profile have one type, and it allows one: the other slice cannot be met."""
    return [fault for fault in faults(event, IUA_71) if "token-response" not in fault]


def request_of(event: Json) -> str:
    [query] = [entity["query"] for entity in event["entity"] if "query" in entity]
    return base64.b64decode(query).decode()


def details(event: Json) -> dict[str, str]:
    return {one["type"]: one["valueString"] for entity in event["entity"] for one in entity.get("detail", [])}


def agents(event: Json) -> dict[str, Json]:
    return {agent["type"]["coding"][0]["code"]: agent for agent in event["agent"]}


async def test_r_balp_015_an_issued_token_is_recorded_by_the_profile(clinic: InProcess, service: App) -> None:
    async with clinic.trail.recording() as recorded:
        told = read(await service.credentials("system/Patient.rs"))

    event = recorded.only
    assert event["meta"]["profile"] == [IUA_71]
    assert unmet(event) == []
    assert said(event) == ("ITI-71", "0")
    client = agents(event)["110150"]
    assert (client["who"]["identifier"]["value"], client["requestor"]) == ("service", True)
    assert client["policy"][0].startswith("urn:ietf:params:oauth:jti:")
    assert details(event)["scope"] == "system/Patient.rs"
    assert told["access_token"] not in str(event)


async def test_r_balp_015_a_persons_token_names_the_person(clinic: InProcess, native: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")

    async with clinic.trail.recording() as recorded:
        await native.redeem(code, pkce)

    event = recorded.only
    assert unmet(event) == []
    person = agents(event)["IRCP"]
    assert person["who"]["reference"] == "Practitioner/nora"
    assert person["who"]["identifier"] == {"system": native.issuer, "value": "user-nora"}
    assert (person["name"], person["requestor"]) == ("Nora Nurse", True)
    assert details(event)["role"] == "nurse"
    assert agents(event)["110150"]["requestor"] is False


async def test_a_person_without_a_resource_of_their_own_is_named_by_subject(clinic: InProcess, native: App) -> None:
    async with clinic.trail.recording() as recorded:
        await native.tokens(SCOPE, patient="p1", fhir_user=None, name="")

    person = agents(recorded.events[-1])["IRCP"]
    assert person["who"] == {"identifier": {"system": native.issuer, "value": "user-nora"}}
    assert unmet(recorded.events[-1]) == []


async def test_r_balp_015_what_opens_anything_is_not_recorded(clinic: InProcess, web: App, service: App) -> None:
    pkce = Pkce()
    async with clinic.trail.recording() as recorded:
        code = await web.code(SCOPE, pkce, patient="p1")
        told = read(await web.redeem(code, pkce))
        again = read(await web.refresh(told["refresh_token"]))
        await web.post("/auth/introspect", token=again["access_token"])
        await web.post("/auth/revoke", token=again["refresh_token"])
        form = {"grant_type": "authorization_code", "client_id": "web", "client_secret": SECRET, "code": "some-code"}
        await clinic.http.post("/auth/token", data=form)
        await service.credentials("system/*.rs")

    everything = str([(event, [request_of(event)]) for event in recorded.events])
    secrets = (code, pkce.verifier, SECRET, told["refresh_token"], again["refresh_token"], again["access_token"])
    assert len(recorded.events) == 7
    assert not [secret for secret in (*secrets, "some-code", "eyJ") if secret in everything]
    assert "grant_type=authorization_code" in everything


async def test_a_refusal_is_recorded_with_its_error_and_claims_no_profile(clinic: InProcess, service: App) -> None:
    async with clinic.trail.recording() as recorded:
        await service.credentials("system/*.rs", client_assertion="nonsense", client_id="service")
        await clinic.http.post("/auth/token", data={"grant_type": "nonsense"})

    first, second = recorded.events
    assert said(first) == ("ITI-71", "4")
    assert first["outcomeDesc"].startswith("invalid_client")
    assert agents(first)["110150"]["who"]["identifier"]["value"] == "service"
    assert agents(second)["110150"]["who"]["identifier"]["value"] == "unknown"
    assert "meta" not in first


async def test_a_replay_is_recorded_with_whose_grant_it_ended(clinic: InProcess, native: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    await native.redeem(code, pkce)

    async with clinic.trail.recording() as recorded:
        await native.redeem(code, pkce)

    assert said(recorded.only) == ("ITI-71", "4")
    assert details(recorded.only)["grant"]
    assert agents(recorded.only)["IRCP"]["who"]["identifier"]["value"] == "user-nora"


async def test_a_revocation_an_introspection_and_a_consent_are_recorded(
    clinic: InProcess, native: App, ehr: App
) -> None:
    async with clinic.trail.recording() as recorded:
        told = await native.tokens(SCOPE, patient="p1")
        await ehr.post("/auth/introspect", token=told["access_token"])
        await native.post("/auth/revoke", token=told["access_token"])
        await native.post("/auth/revoke", token="nonsense")
        await clinic.clinic.gateway.authorization.deny(await native.waiting(native.request(Pkce(), SCOPE)))
        await native.authorize(native.request(Pkce(), "nonsense"))

    assert [said(event) for event in recorded.events] == [
        ("authorize", "0"),
        ("ITI-71", "0"),
        ("ITI-102", "0"),
        ("revoke", "0"),
        ("revoke", "0"),
        ("authorize", "4"),
        ("authorize", "4"),
    ]
    revoked = recorded.events[3]
    assert agents(revoked)["IRCP"]["policy"][0].startswith("urn:ietf:params:oauth:jti:")
    assert details(revoked)["grant"] == details(recorded.events[1])["grant"]


async def test_a_launch_is_recorded_with_its_patient(clinic: InProcess, ehr: App) -> None:
    token = read(await ehr.credentials("ehr/launch"))["access_token"]

    async with clinic.trail.recording() as recorded:
        answer = await clinic.http.post(
            "/auth/launch",
            json={"client_id": "native", "patient": "p1"},
            headers={"Authorization": f"Bearer {token}", "X-Request-Id": "launch-7"},
        )

    assert answer.status_code == 201
    assert said(recorded.only) == ("launch", "0")
    assert "Patient/p1" in str(recorded.only["entity"])
    assert "launch-7" in str(recorded.only["entity"])
    assert read(answer)["launch"] not in str(recorded.only)


async def test_an_auditor_finds_them(clinic: InProcess, service: App) -> None:
    await service.credentials("system/Patient.rs")
    auditor = clinic.caller("system/AuditEvent.rs")

    found = read(await auditor.get("/fhir/AuditEvent?subtype=urn:ihe:event-type-code|ITI-71&_count=5"))

    assert found["entry"]
    resource = found["entry"][0]["resource"]
    assert resource["type"]["code"] == "110114"


async def test_without_the_log_there_is_no_token(
    clinic: InProcess, service: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.store.audit_log._MOST_WAITING", 0)

    answer = await service.credentials("system/Patient.rs")

    assert answer.status_code == 503
    assert read(answer)["error"] == "temporarily_unavailable"
    assert answer.headers["retry-after"]
    assert "access_token" not in answer.text
