"""Introspection and revocation: R-SMART-042, -072 to -075, R-IUA-003; and what a revocation does at once."""

import asyncio
from pathlib import Path

import pytest
from httpx2 import Response

from fhir_server.smart.grant import FACTOR_REMOVED
from tests.clinics import Caller, InProcess, read, running
from tests.samples import patient
from tests.smart.apps import EHR, NATIVE, SECRET, App, basic, register_all

pytestmark = pytest.mark.anyio

SCOPE = "launch/patient patient/*.rs openid fhirUser offline_access"


async def about(token: str, by: App) -> Response:
    return await by.post("/auth/introspect", token=token)


async def test_r_smart_072_073_a_resource_server_learns_what_a_token_is_good_for(native: App, ehr: App) -> None:
    told = await native.tokens(SCOPE, patient="p1")

    answer = await about(told["access_token"], ehr)

    found = read(answer)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert found["active"] is True
    assert set(found["scope"].split()) == set(told["scope"].split())
    assert (found["client_id"], found["patient"], found["sub"]) == ("native", "p1", "user-nora")
    assert isinstance(found["exp"], int)
    assert found["exp"] - found["iat"] == told["expires_in"]
    assert found["iss"] == native.issuer
    assert found["fhirUser"] == f"{native.base}/Practitioner/nora"
    assert found["extensions"]["ihe_iua"]["subject_name"] == "Nora Nurse"


async def test_r_smart_075_it_may_ask_with_a_token_of_its_own(native: App, ehr: App, clinic: InProcess) -> None:
    told = await native.tokens(SCOPE, patient="p1")
    bearer = read(await ehr.credentials("introspect"))["access_token"]

    answer = await clinic.http.post(
        "/auth/introspect", data={"token": told["access_token"]}, headers={"Authorization": f"Bearer {bearer}"}
    )

    assert read(answer)["active"] is True


async def test_r_smart_075_nobody_else_is_told(native: App, web: App, service: App, clinic: InProcess) -> None:
    told = await native.tokens(SCOPE, patient="p1")
    form = {"token": told["access_token"]}
    wrong = read(await service.credentials("system/*.rs"))["access_token"]

    anonymous = await clinic.http.post("/auth/introspect", data=form)
    public = await clinic.http.post("/auth/introspect", data={**form, "client_id": "native"})
    unscoped = await clinic.http.post("/auth/introspect", data=form, headers={"Authorization": f"Bearer {wrong}"})
    forged = await clinic.http.post("/auth/introspect", data=form, headers={"Authorization": "Bearer nonsense"})

    assert [one.status_code for one in (anonymous, public, unscoped, forged)] == [401, 401, 403, 401]
    assert all(one.headers["www-authenticate"] for one in (anonymous, public, unscoped, forged))
    assert read(await about(told["access_token"], web)) == {"active": False}
    assert read(await about(told["access_token"], service)) == {"active": False}


async def test_a_confidential_client_may_ask_about_its_own(web: App, signing: App) -> None:
    for app in (web, signing):
        told = await app.tokens(SCOPE, patient="p1")

        assert read(await about(told["access_token"], app))["active"] is True
        refresh = read(await about(told["refresh_token"], app))
        assert refresh.keys() == {"active", "client_id", "exp"}
        assert refresh["active"] is True


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 10_000, "e30.e30.AA"])
async def test_r_smart_074_what_is_not_active_is_told_as_that_and_nothing_more(ehr: App, token: str) -> None:
    answer = await about(token, ehr)

    assert (answer.status_code, read(answer)) == (200, {"active": False})


async def test_r_smart_074_an_expired_a_used_and_an_ended_token_are_not_active(
    native: App, ehr: App, clinic: InProcess
) -> None:
    first = await native.tokens(SCOPE, patient="p1")
    second = read(await native.refresh(first["refresh_token"]))
    expired = clinic.token("patient/*.rs", lifetime=60, age=61)

    assert read(await about(expired, ehr)) == {"active": False}
    assert read(await about(first["refresh_token"], ehr)) == {"active": False}
    assert read(await about(first["access_token"], ehr))["active"] is True
    assert (await native.post("/auth/revoke", token=second["refresh_token"])).status_code == 200
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert read(await about(token, ehr)) == {"active": False}


@pytest.mark.parametrize("path", ["/auth/introspect", "/auth/revoke"])
async def test_without_a_token_the_request_is_none(web: App, path: str) -> None:
    for fields in ({}, {"token": ""}):
        answer = await web.post(path, **fields)
        assert (answer.status_code, read(answer)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
async def test_r_smart_042_after_a_revocation_nothing_of_it_works(app: App, which: str, hint: str | None) -> None:
    told = await app.tokens(SCOPE, patient="p1")
    caller = Caller(app.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200

    answer = await app.post("/auth/revoke", token=told[which], token_type_hint=hint)

    assert (answer.status_code, read(answer)) == (200, {})
    refused = await caller.get("/fhir/Patient")
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert (await app.refresh(told["refresh_token"])).status_code == 400


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 10_000])
async def test_r_smart_042_to_revoke_what_is_unknown_is_no_error(app: App, token: str) -> None:
    answer = await app.post("/auth/revoke", token=token)

    assert (answer.status_code, read(answer)) == (200, {})


async def test_nobody_revokes_anothers_token(native: App, web: App) -> None:
    told = await native.tokens(SCOPE, patient="p1")

    refused = await web.post("/auth/revoke", token=told["access_token"])
    anonymous = await web.clinic.http.post("/auth/revoke", data={"token": told["access_token"]})
    wrong = await web.clinic.http.post(
        "/auth/revoke", data={"token": told["access_token"]}, headers={"Authorization": basic("web", SECRET + "x")}
    )

    assert (refused.status_code, read(refused)["error"]) == (400, "invalid_grant")
    assert (read(anonymous)["error"], read(wrong)["error"]) == ("invalid_client", "invalid_client")
    caller = Caller(native.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200


async def test_a_revocation_counts_in_every_process_from_its_answer_on(mongo_uri: str, tmp_path: Path) -> None:
    async with (
        running(mongo_uri, "test_smart_two", tmp_path) as first,
        running(mongo_uri, "test_smart_two", tmp_path) as second,
    ):
        register_all(first)
        app = App(first, NATIVE)
        await first.caller().put("/fhir/Patient/p1", patient(id="p1"))
        for _ in range(3):
            told = await app.tokens(SCOPE, patient="p1")
            here = Caller(first.http, {"Authorization": f"Bearer {told['access_token']}"})
            there = Caller(second.http, {"Authorization": f"Bearer {told['access_token']}"})
            assert (await there.get("/fhir/Patient/p1")).status_code == 200

            await app.post("/auth/revoke", token=told["access_token"])

            for caller in (there, here):
                assert (await caller.get("/fhir/Patient/p1")).status_code == 401
                assert (await caller.get("/fhir/Patient/unknown")).status_code == 401, "nor what is not there"
                assert (await caller.get("/fhir/Observation")).status_code == 401


@pytest.mark.parametrize("method", ["create", "update", "delete", "transaction"])
async def test_a_write_with_an_ended_grant_is_not_committed(clinic: InProcess, method: str) -> None:
    writer = clinic.caller("system/*.cruds")
    stored = await writer.store(patient())
    grant = clinic.clinic.gateway.bearer.authenticate(
        writer.headers["Authorization"], clinic.clinic.surface.clock.now()
    ).grant
    clinic.clinic.store.grants.end(grant, "revoked")
    before = await clinic.counts()

    entry = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = await {
        "create": lambda: writer.post("/fhir/Patient", patient()),
        "update": lambda: writer.put(f"/fhir/Patient/{stored['id']}", {**stored, "active": True}),
        "delete": lambda: writer.delete(f"/fhir/Patient/{stored['id']}"),
        "transaction": lambda: writer.post("/fhir", bundle),
    }[method]()

    assert answer.status_code == 401
    assert await clinic.counts() == before


async def test_one_that_ended_does_not_hinder_those_recorded_with_it(clinic: InProcess) -> None:
    good, bad = clinic.caller("system/*.cruds"), clinic.caller("system/*.cruds")
    stored = await good.store(patient())
    now = clinic.clinic.surface.clock.now()
    grant = clinic.clinic.gateway.bearer.authenticate(bad.headers["Authorization"], now).grant
    clinic.clinic.store.grants.end(grant, "revoked")

    reads = await asyncio.gather(*(each.get(f"/fhir/Patient/{stored['id']}") for each in [good, bad] * 10))
    writes = await asyncio.gather(*(each.post("/fhir/Patient", patient()) for each in [good, bad] * 10))

    assert [answer.status_code for answer in reads] == [200, 401] * 10
    assert [answer.status_code for answer in writes] == [201, 401] * 10


async def test_s61_a_token_whose_factor_was_removed_must_authenticate_better(clinic: InProcess, native: App) -> None:
    told = await native.tokens(SCOPE, patient="p1", subject="lost-the-phone")
    await clinic.clinic.store.grant_states.end_all("subject/lost-the-phone", FACTOR_REMOVED)

    answer = await Caller(clinic.http, {"Authorization": f"Bearer {told['access_token']}"}).get("/fhir/Patient")

    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["www-authenticate"]


async def test_what_a_revoked_token_tried_is_recorded_as_refused(clinic: InProcess, native: App) -> None:
    told = await native.tokens(SCOPE, patient="p1")
    await native.post("/auth/revoke", token=told["access_token"])

    async with clinic.trail.recording() as recorded:
        await Caller(clinic.http, {"Authorization": f"Bearer {told['access_token']}"}).get("/fhir/Patient/p1")

    assert recorded.only["outcome"] == "4"
    assert recorded.only["outcomeDesc"].startswith("401")


def test_the_ehr_is_registered_to_introspect() -> None:
    assert "introspect" in EHR.scopes
