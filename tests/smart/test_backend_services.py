"""Services that act for nobody: R-SMART-025, -026, -030, -031, -037, -053, -076 to -085; R-BULK-036, -037."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import Response
from joserfc.jwk import ECKey, RSAKey

from fhir_server.smart.clients.client import Client
from tests.clinics import Caller, InProcess, read
from tests.smart.apps import ASSERTION, KEYS, PRIVATE, SECRET, App, b64, basic, parts, signed

pytestmark = pytest.mark.anyio


def refused(answer: Response, error: str, *statuses: int) -> None:
    """R-SMART-037: OAuth's JSON, never an OperationOutcome, never a framework's own."""
    assert answer.status_code in (statuses or (400,)), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"].startswith("no-store")
    told = read(answer)
    assert told["error"] == error, told
    assert isinstance(told["error_description"], str)
    assert "resourceType" not in told


@pytest.mark.parametrize("alg", ["RS384", "ES384"])
async def test_r_smart_077_a_service_signs_with_either_algorithm(service: App, alg: str) -> None:
    answer = await service.credentials("system/Patient.rs", client_assertion=service.assertion({"alg": alg}))

    assert answer.status_code == 200, answer.text


async def test_r_smart_030_084_the_answer_has_what_it_must_and_no_refresh_token(service: App) -> None:
    answer = await service.credentials("system/Patient.rs system/Observation.read")

    told = read(answer)
    assert told.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert told["token_type"] == "bearer"
    assert isinstance(told["expires_in"], int)
    assert 0 < told["expires_in"] <= 300
    assert told["scope"] == "system/Patient.rs system/Observation.read"


async def test_r_smart_031_nobody_keeps_the_answer(service: App) -> None:
    answer = await service.credentials("system/Patient.rs")

    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["pragma"] == "no-cache"


async def test_the_token_does_what_its_scope_says_and_no_more(clinic: InProcess, service: App) -> None:
    token = read(await service.credentials("system/Patient.s"))["access_token"]
    caller = Caller(clinic.http, {"Authorization": f"Bearer {token}"})

    assert (await caller.get("/fhir/Patient")).status_code == 200
    assert (await caller.get("/fhir/Observation")).status_code == 403


async def test_r_iua_001_002_the_token_says_what_iua_asks_for(clinic: InProcess, service: App) -> None:
    before = int(time.time())
    header, claims = parts(read(await service.credentials("system/Patient.rs"))["access_token"])

    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert claims["iss"] == clinic.clinic.settings.base_url
    assert claims["aud"] == clinic.base
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("service", "service", "system/Patient.rs")
    assert claims["jti"]
    assert before <= claims["iat"] < claims["exp"] <= claims["iat"] + 300
    assert claims["extensions"]["ihe_iua"] == {
        "subject_name": "Service",
        "subject_organization": "Clinic of the Tests",
        "subject_organization_id": "urn:oid:1.2.3",
        "subject_role": [{"system": "urn:aesthetic-fhir-server:role", "code": "system"}],
        "purpose_of_use": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"},
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HOPERAT"},
        ],
    }


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "launch",
        "launch/patient",
        "openid fhirUser",
        "system/Patient.unknownAction",
        "system/Patient.dus",
        "system/Nonsense.rs",
        "system/*.write",
        "system/Patient.c",
        "system/Patient.u",
        "system/Patient.d",
        "patient/Patient.rs",
        "user/Patient.rs",
        "system/AuditEvent.rs",
        "ehr/launch",
    ],
)
async def test_r_bulk_037_r_smart_053_083_a_scope_beyond_the_registration_is_invalid(reader: App, scope: str) -> None:
    refused(await reader.credentials(scope), "invalid_scope")


async def test_r_smart_076_a_scope_must_be_asked_for(reader: App) -> None:
    refused(await reader.credentials(None), "invalid_scope")


@pytest.mark.parametrize("grant", [None, "", "password", "implicit", "authorization_code", "refresh_token", "nonsense"])
async def test_r_smart_029_076_another_grant_type_is_refused(service: App, grant: str | None) -> None:
    answer = await service.credentials("system/*.rs", grant_type=grant)

    assert read(answer)["error"] in {"unsupported_grant_type", "unauthorized_client"}
    assert answer.status_code == 400


@pytest.mark.parametrize("type", [None, "", "nonsense", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"])
async def test_r_smart_076_another_assertion_type_is_refused(service: App, type: str | None) -> None:
    refused(await service.credentials("system/*.rs", client_assertion_type=type), "invalid_client")


def without(name: str) -> dict[str, Any]:
    return {name: ...}


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "reader"},
    "no issuer": without("iss"),
    "another subject": {"sub": "reader"},
    "a subject that is not registered": {"sub": "nobody", "iss": "nobody"},
    "no subject": without("sub"),
    "a subject that is no text": {"sub": ["service"]},
    "another audience": {"aud": "https://elsewhere.example/token"},
    "the audience in a longer one": {"aud": "http://127.0.0.1:8000/auth/token/x"},
    "no audience": without("aud"),
    "an audience that is a number": {"aud": 7},
    "audiences, none of them ours": {"aud": ["https://elsewhere.example", 7]},
    "expired": {"exp": int(time.time()) - 60},
    "too far ahead": {"exp": int(time.time()) + 3600},
    "no end": without("exp"),
    "an end that is text": {"exp": "9999999999"},
    "an end that is true": {"exp": True},
    "an end beyond time": {"exp": 10**30},
    "not yet good": {"nbf": int(time.time()) + 3600},
    "a beginning that is text": {"nbf": "now"},
    "no jti": without("jti"),
    "an empty jti": {"jti": ""},
    "a jti that is a number": {"jti": 7},
    "an endless jti": {"jti": "x" * 300},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_r_smart_079_an_assertion_that_says_something_wrong_is_refused(
    service: App, claims: dict[str, Any]
) -> None:
    refused(await service.credentials("system/*.rs", client_assertion=service.assertion(**claims)), "invalid_client")


@pytest.mark.parametrize(
    "claims",
    [
        lambda now: {"exp": now + 340},
        lambda now: {"exp": now + 200.5},
        lambda _: {"aud": ["https://elsewhere.example", "http://127.0.0.1:8000/auth/token"]},
        lambda _: {"iat": 0},
        lambda now: {"nbf": now + 30},
        lambda _: {"something": {"else": [1]}},
    ],
)
async def test_r_smart_079_080_what_the_rules_allow_is_taken(
    service: App, claims: Callable[[int], dict[str, Any]]
) -> None:
    said = claims(int(time.time()))  # not when the tests are collected: many run in between

    answer = await service.credentials("system/*.rs", client_assertion=service.assertion(**said))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "header",
    [{"kty": "EC"}, {"typ": ...}, {"typ": "jwt"}, {"nonsense": {"a": 1}}, {"x-padding": "x" * 2000}],
    ids=["kty, as one suite sends it", "no typ", "typ in small letters", "an unknown name", "a long header"],
)
async def test_r_smart_078_header_names_that_are_not_known_are_borne(service: App, header: dict[str, Any]) -> None:
    answer = await service.credentials("system/*.rs", client_assertion=service.assertion(header))

    assert answer.status_code == 200, answer.text


BAD_HEADERS: dict[str, dict[str, Any]] = {
    "no kid": {"kid": ...},
    "another kid": {"kid": "nobody's"},
    "a kid that is a number": {"kid": 7},
    "another typ": {"typ": "at+jwt"},
    "a typ that is a list": {"typ": ["JWT"]},
    "a jku of its own": {"jku": "https://mallory.example/jwks"},
    "crit with an unknown name": {"crit": ["exp-policy"], "exp-policy": "x"},
    "crit that names what is not there": {"crit": ["exp"]},
    "a kid of the other algorithm": {"kid": KEYS["RS384"]["kid"]},
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
async def test_r_smart_077_078_a_header_that_is_wrong_is_refused(service: App, header: dict[str, Any]) -> None:
    assertion = service.assertion({"alg": "ES384", **header})

    refused(await service.credentials("system/*.rs", client_assertion=assertion), "invalid_client")


@pytest.mark.parametrize(
    "assertion",
    ["", "nonsense", "a.b.c", "e30.e30.", "e30.W10.AA", "ä.ö.ü", "x" * 20_000, "[" * 2_000],
)
async def test_r_smart_076_what_is_no_assertion_is_refused(service: App, assertion: str) -> None:
    refused(await service.credentials("system/*.rs", client_assertion=assertion), "invalid_client")


async def test_a_payload_that_is_no_object_is_no_assertion(service: App) -> None:
    for payload in (b"[]", b"7", b'"text"', b"null"):
        assertion = signed({"alg": "RS384", "kid": KEYS["RS384"]["kid"]}, payload, PRIVATE["RS384"])

        refused(await service.credentials("system/*.rs", client_assertion=assertion), "invalid_client")


async def test_what_is_remembered_of_keys_is_bounded(
    service: App, reader: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.smart.oauth.assertion._MOST_REMEMBERED", 0)
    service.clinic.clinic.gateway.authorization._parts.server._authentication._assertions._parsed.clear()

    for each in (service, reader, service):
        assert (await each.credentials("system/*.rs")).status_code == 200


async def test_r_smart_081_an_assertion_is_good_once(service: App) -> None:
    assertion = service.assertion()

    assert (await service.credentials("system/*.rs", client_assertion=assertion)).status_code == 200
    refused(await service.credentials("system/*.rs", client_assertion=assertion), "invalid_client")


async def test_r_smart_081_a_jti_is_anothers_own_affair(service: App, reader: App) -> None:
    jti = secrets.token_hex(8)

    for each in (service, reader):
        answer = await each.credentials("system/*.rs", client_assertion=each.assertion(jti=jti))
        assert answer.status_code == 200, answer.text


async def test_r_smart_081_a_jti_is_not_used_up_by_who_has_no_key(service: App) -> None:
    jti = secrets.token_hex(8)
    forged = service.assertion({"alg": "RS384"}, RSAKey.generate_key(2048), jti=jti)

    refused(await service.credentials("system/*.rs", client_assertion=forged), "invalid_client")
    good = service.assertion(jti=jti)
    assert (await service.credentials("system/*.rs", client_assertion=good)).status_code == 200


async def test_r_smart_083_who_holds_no_key_learns_nothing(service: App) -> None:
    unknown = service.assertion(iss="nobody", sub="nobody")
    foreign = service.assertion({"alg": "ES384"}, ECKey.generate_key("P-384"))
    expired = service.assertion({"alg": "ES384"}, ECKey.generate_key("P-384"), exp=0)

    answers = [
        await service.credentials("system/*.rs", client_assertion=one) for one in (unknown, foreign, expired, "a.b.c")
    ]

    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"client_assertion": None, "client_assertion_type": None},
        {"client_assertion": None, "client_assertion_type": None, "client_id": "service"},
        {"client_assertion": None, "client_assertion_type": None, "client_id": "service", "client_secret": "x"},
        {"client_assertion": None},
        {"client_id": "reader"},
        {"client_id": "nobody"},
    ],
)
async def test_r_smart_026_a_service_proves_itself_by_its_key_or_not_at_all(
    service: App, fields: dict[str, str | None]
) -> None:
    refused(await service.credentials("system/*.rs", **fields), "invalid_client", 400, 401)


async def test_a_client_proves_itself_in_one_way_at_a_time(service: App) -> None:
    refused(await service.credentials("system/*.rs", client_secret="x"), "invalid_request")
    with_basic = await service.clinic.http.post(
        "/auth/token",
        data={"grant_type": "client_credentials", "client_assertion_type": ASSERTION},
        headers={"Authorization": basic("web", SECRET)},
    )
    refused(with_basic, "invalid_request", 400)


@pytest.mark.parametrize("client", ["native", "web", "signing"])
async def test_r_smart_053_an_app_has_no_credentials_grant(request: pytest.FixtureRequest, client: str) -> None:
    app: App = request.getfixturevalue(client)

    refused(await app.credentials("system/*.rs"), "unauthorized_client")


@pytest.mark.parametrize("body", [b'{"grant_type":"client_credentials"}', b"[]", b"nonsense"])
@pytest.mark.parametrize("path", ["/auth/token", "/auth/introspect", "/auth/revoke"])
async def test_r_smart_025_a_body_that_is_no_form_is_an_oauth_error(clinic: InProcess, path: str, body: bytes) -> None:
    answer = await clinic.http.post(path, content=body, headers={"Content-Type": "application/json"})

    refused(answer, "invalid_request")


@pytest.mark.parametrize("path", ["/auth/token", "/auth/introspect", "/auth/revoke", "/auth/launch"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused_in_oauths_words(clinic: InProcess, path: str, method: str) -> None:
    answer = await clinic.http.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert read(answer)["error"] == "invalid_request"


async def test_there_is_nothing_at_another_address_and_it_is_said_in_oauths_words(clinic: InProcess) -> None:
    for path in ("/auth/nonsense", "/auth/token/more", "/auth/"):
        answer = await clinic.http.get(path)

        assert (answer.status_code, read(answer)["error"]) == (404, "invalid_request")


@pytest.mark.parametrize("path", ["/auth/token", "/auth/revoke", "/auth/introspect"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"a=" + b"x" * 100_000, {}),
        (b"a=b", {"Content-Encoding": "gzip"}),
        (b"a=b", {"Content-Encoding": "snappy"}),
        (b"a=%ff", {}),
        (b"a=\xff", {}),
        (b"&".join([b"a=1"] * 300), {}),
        (b"", {}),
        (b"a=b", {"Accept": "application/fhir+xml"}),
        (b"a=b", {"Accept": "text/html"}),
    ],
)
async def test_r_smart_037_whatever_is_wrong_is_said_in_oauths_words(
    clinic: InProcess, path: str, body: bytes, headers: dict[str, str]
) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}

    answer = await clinic.http.post(path, content=body, headers=sent)

    assert answer.status_code in {400, 401}
    assert answer.headers["content-type"] == "application/json"
    assert set(read(answer)) == {"error", "error_description"}
    assert "search" not in answer.text


@pytest.mark.parametrize(
    "form",
    [
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=system/*.rs&scope=system/*.cruds",
        "client_id=a&client_id=b",
    ],
)
async def test_a_parameter_stands_once(clinic: InProcess, form: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    refused(await clinic.http.post("/auth/token", content=form, headers=headers), "invalid_request")


@pytest.mark.parametrize("form", [b"\xff\xfe", b"a=%ff%fe", b"&".join([b"a=b"] * 300), b"x=" + b"y" * 70_000])
async def test_a_form_that_cannot_be_read_is_refused(clinic: InProcess, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    refused(await clinic.http.post("/auth/token", content=form, headers=headers), "invalid_request")


async def test_r_smart_037_basic_that_fails_is_told_so(clinic: InProcess) -> None:
    wrong = ["Basic", "Basic !", f"Basic {b64(b'no colon')}", basic("web", "wrong"), basic("nobody", "x"), "Bearer x"]
    for header in (*wrong, basic("service", "x"), basic("native", "")):
        answer = await clinic.http.post(
            "/auth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header}
        )

        refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"].startswith("Basic")


async def test_a_client_that_is_disabled_gets_nothing_and_what_it_had_ends(clinic: InProcess) -> None:
    rows = clinic.clinic.store.clients
    short = App(clinic, Client("short", service_kind(clinic), "Short", ("system/*.rs",), jwks=public(clinic)))
    rows.save(short.client)
    token = read(await short.credentials("system/*.rs"))["access_token"]
    caller = Caller(clinic.http, {"Authorization": f"Bearer {token}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200

    rows.save(short.client.changed(disabled=True))
    await clinic.clinic.store.grant_states.end_all("client/short", "client")

    assert (await caller.get("/fhir/Patient")).status_code == 401
    refused(await short.credentials("system/*.rs"), "invalid_client")


def service_kind(clinic: InProcess) -> Any:
    client = clinic.clinic.store.clients.get("reader")
    assert client is not None
    return client.kind


def public(clinic: InProcess) -> Any:
    client = clinic.clinic.store.clients.get("reader")
    assert client is not None
    return client.jwks


async def test_a_new_key_counts_at_once_and_the_old_one_no_more(clinic: InProcess) -> None:
    rows = clinic.clinic.store.clients
    first = App(clinic, Client("renewed", service_kind(clinic), "Renewed", ("system/*.rs",), jwks=public(clinic)))
    rows.save(first.client)
    assert (await first.credentials("system/*.rs")).status_code == 200

    second = replace(first, client=first.client.changed(jwks={"keys": []}))
    rows.save(second.client)

    refused(await first.credentials("system/*.rs"), "invalid_client")


async def test_the_limit_is_told_before_long(clinic: InProcess, monkeypatch: pytest.MonkeyPatch, service: App) -> None:
    limits = clinic.clinic.gateway.authorization._parts.limits
    monkeypatch.setattr(limits, "_rate", 1.0)
    monkeypatch.setattr(limits, "_left", type(limits._left)())

    answers = [await service.credentials("system/*.rs") for _ in range(5)]

    limited = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert limited
    refused(limited[0], "temporarily_unavailable", 429)
    assert limited[0].headers["retry-after"]
