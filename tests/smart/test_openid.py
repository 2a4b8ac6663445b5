"""OpenID Connect: R-SMART-067 to -071; keys that change."""

import time
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.clinics import Caller, InProcess, read
from tests.smart.apps import App, Pkce, parts

pytestmark = pytest.mark.anyio

SCOPE = "openid fhirUser launch/patient patient/*.rs"


async def test_r_smart_067_there_is_an_id_token_with_openid_and_none_without(native: App) -> None:
    assert "id_token" in await native.tokens(SCOPE, patient="p1")
    assert "id_token" not in await native.tokens("fhirUser launch/patient patient/*.rs", patient="p1")


async def test_r_smart_069_it_is_rs256_by_a_key_that_is_published(clinic: InProcess, native: App) -> None:
    token = (await native.tokens(SCOPE, patient="p1"))["id_token"]
    published = read(await clinic.http.get("/auth/jwks"))

    header, _ = parts(token)
    [key] = [key for key in published["keys"] if key["kid"] == header["kid"]]
    assert header["alg"] == "RS256"
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    assert jwt.decode(token, KeySet.import_key_set(published), algorithms=["RS256"]).claims["sub"] == "user-nora"


async def test_r_iua_001_access_tokens_are_verified_with_the_same_keys(clinic: InProcess, native: App) -> None:
    told = await native.tokens(SCOPE, patient="p1")
    keys = KeySet.import_key_set(read(await clinic.http.get("/auth/jwks")))

    assert jwt.decode(told["access_token"], keys, algorithms=["RS256"]).claims["aud"] == clinic.base


async def test_r_smart_070_071_its_claims(clinic: InProcess, app: App) -> None:
    told = await app.tokens(SCOPE, {"nonce": "n-0S6_WzA2Mj"}, patient="p1")

    _, claims = parts(told["id_token"])
    assert claims["iss"] == clinic.clinic.settings.base_url
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("user-nora", app.client.client_id, "n-0S6_WzA2Mj")
    assert claims["iat"] <= int(time.time()) < claims["exp"]
    assert claims["fhirUser"] == f"{clinic.base}/Practitioner/nora"
    assert claims["amr"] == ["pwd", "otp", "mfa"]
    assert claims["acr"] == "urn:aesthetic-fhir-server:acr:two-factors"
    assert claims["auth_time"] == 1767323045
    assert "name" not in claims, "nobody asked for the profile"


async def test_one_factor_is_told_as_one(native: App) -> None:
    _, claims = parts((await native.tokens(SCOPE, patient="p1", methods=("pwd",)))["id_token"])

    assert claims["acr"] == "urn:aesthetic-fhir-server:acr:one-factor"
    assert "nonce" not in claims


async def test_what_is_not_known_of_a_sign_in_is_not_told(native: App) -> None:
    told = await native.tokens(SCOPE, patient="p1", methods=(), fhir_user=None)

    assert not parts(told["id_token"])[1].keys() & {"acr", "amr", "fhirUser", "nonce"}


async def test_an_id_token_is_no_access_token(clinic: InProcess, native: App) -> None:
    token = (await native.tokens(SCOPE, patient="p1"))["id_token"]

    assert (await Caller(clinic.http, {"Authorization": f"Bearer {token}"}).get("/fhir/Patient")).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_userinfo_tells_what_the_scopes_tell(clinic: InProcess, native: App, method: str) -> None:
    less = await native.tokens("openid", patient=None)
    more = await native.tokens("openid fhirUser profile", patient=None)

    answers = [
        await clinic.http.request(method, "/auth/userinfo", headers={"Authorization": f"Bearer {told['access_token']}"})
        for told in (less, more)
    ]

    assert read(answers[0]) == {"sub": "user-nora"}
    assert read(answers[1]) == {
        "sub": "user-nora",
        "fhirUser": f"{clinic.base}/Practitioner/nora",
        "name": "Nora Nurse",
    }
    assert all("no-store" in answer.headers["cache-control"] for answer in answers)


async def test_userinfo_wants_a_token_with_openid_that_holds(clinic: InProcess, native: App) -> None:
    without = (await native.tokens("fhirUser user/*.rs"))["access_token"]
    ended = (await native.tokens("openid", session="gone"))["access_token"]
    await clinic.clinic.store.grant_states.end_all("session/gone", "signed-out")

    for header, status, error in (
        ({}, 401, "invalid_request"),
        ({"Authorization": "Bearer nonsense"}, 401, "invalid_token"),
        ({"Authorization": f"Bearer {ended}"}, 401, "invalid_token"),
        ({"Authorization": f"Bearer {without}"}, 403, "insufficient_scope"),
    ):
        answer = await clinic.http.get("/auth/userinfo", headers=header)
        assert (answer.status_code, read(answer)["error"]) == (status, error)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_new_key_is_published_first_signs_later_and_the_old_one_still_verifies(
    clinic: InProcess, native: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, clock = clinic.clinic.gateway.keys, clinic.clinic.gateway.clock
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    before = await native.tokens(SCOPE, patient="p1")
    await keys.renew()

    announced = {key["kid"] for key in read(await clinic.http.get("/auth/jwks"))["keys"]}
    still = parts(read(await native.redeem(code, pkce))["id_token"])[0]["kid"]
    later = clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(type(clock), "now", lambda _: later)
    after = await native.tokens(SCOPE, patient="p1")

    assert still == parts(before["id_token"])[0]["kid"]
    new = parts(after["id_token"])[0]["kid"]
    assert new != still
    assert {still, new} <= announced
    caller = Caller(clinic.http, {"Authorization": f"Bearer {after['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200
    keys_now = KeySet.import_key_set(read(await clinic.http.get("/auth/jwks")))
    assert jwt.decode(before["id_token"], keys_now, algorithms=["RS256"]).claims["sub"] == "user-nora"
