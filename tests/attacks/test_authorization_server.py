"""Attacks on the authorization server: on its redirects, its codes, its clients' keys, and on what it lets slip.

RFC 9700 section 4, RFC 6819. Attacks on a token once issued: test_forged_tokens.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from httpx2 import Response
from joserfc.jwk import OctKey, RSAKey

from fhir_server.kernel import json
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.jwks import RemoteKeySets
from fhir_server.smart.clients.client import Client, Kind
from tests.attacks.watch import MARK
from tests.clinics import Caller, InProcess, read, running
from tests.smart.apps import (
    CALLBACK,
    KEYS,
    NATIVE,
    NURSE,
    PRIVATE,
    SECRET,
    SERVICE,
    SIGNING,
    WEB,
    App,
    Pkce,
    answered,
    b64,
    basic,
    parts,
    register_all,
)

pytestmark = pytest.mark.anyio

SCOPE = "launch/patient patient/*.rs openid offline_access"


@pytest.fixture(scope="module", autouse=True)
def clients(clinic: InProcess) -> None:
    register_all(clinic)


@pytest.fixture
def native(clinic: InProcess) -> App:
    return App(clinic, NATIVE)


@pytest.fixture
def web(clinic: InProcess) -> App:
    return App(clinic, WEB)


@pytest.fixture
def service(clinic: InProcess) -> App:
    return App(clinic, SERVICE)


def stays(answer: Response) -> None:
    """The browser is sent nowhere."""
    assert answer.status_code == 400, answer.headers.get("location")
    assert "location" not in answer.headers
    assert "refresh" not in answer.headers


# Open redirect, and games with the redirect URI


ELSEWHERE = [
    "https://mallory.example/",
    "https://mallory.example/callback?kept=1",
    "//mallory.example",
    "https:mallory.example",
    "https://app.example.mallory.example/callback?kept=1",
    "https://app.example@mallory.example/callback?kept=1",
    "https://app.example\\@mallory.example/callback?kept=1",
    "https://app.example%2f@mallory.example/callback?kept=1",
    "https://app.example:443/callback?kept=1",
    "https://app.example./callback?kept=1",
    "https://APP.EXAMPLE/callback?kept=1",
    "http://app.example/callback?kept=1",
    "https://app.example/callback",
    "https://app.example/callback?kept=1&to=https://mallory.example",
    "https://app.example/callback/../open?kept=1",
    "https://app.example/callback%2f..%2fopen?kept=1",
    "https://app.example/callback?kept=1#https://mallory.example",
    "https://app.example/callback?kept=1\r\nLocation: https://mallory.example",
    "https://app.example/callback?kept=1\x00",
    " https://app.example/callback?kept=1",
    "https://app.example/callback?kept=%31",
    "javascript:alert(document.domain)",
    "data:text/html,<script>alert(1)</script>",
    "http://127.0.0.1:80@mallory.example/native",
    "http://127.0.0.1.mallory.example/native",
    "http://localhost/native",
    "http://127.0.0.1:80/native/../x",
    "http://[::1]/native",
]


@pytest.mark.parametrize("uri", ELSEWHERE)
@pytest.mark.parametrize("broken", [{}, {"scope": "nonsense"}, {"response_type": "token"}, {"aud": "x"}])
async def test_open_redirect_a_place_that_is_not_registered_gets_nobody(
    native: App, uri: str, broken: dict[str, str]
) -> None:
    for method in ("GET", "POST"):
        request = {**native.request(Pkce(), SCOPE), **broken, "redirect_uri": uri}
        answer = await native.authorize(request, method)
        stays(answer)
        assert "mallory" not in answer.text
        assert "script" not in answer.text


async def test_open_redirect_two_places_are_none(native: App) -> None:
    asked = native.request(Pkce(), SCOPE)
    pairs = [*asked.items(), ("redirect_uri", "https://mallory.example/")]

    for order in (pairs, pairs[::-1]):
        form = urlencode(order)
        stays(await native.clinic.http.get(f"/auth/authorize?{form}"))
        stays(
            await native.clinic.http.post(
                "/auth/authorize", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
        )


async def test_open_redirect_the_place_of_another_client_is_none_of_ours(clinic: InProcess, native: App) -> None:
    rows = clinic.clinic.store.clients
    rows.save(Client("mallory", Kind.PUBLIC, "Mallory", ("patient/*.rs",), ("https://mallory.example/cb",)))

    stays(await native.authorize(native.request(Pkce(), SCOPE, redirect_uri="https://mallory.example/cb")))
    stays(await native.authorize(native.request(Pkce(), SCOPE, client_id="mallory")))


async def test_what_the_app_sends_does_not_break_out_of_its_parameter(native: App) -> None:
    state = "x&code=stolen&iss=https://mallory.example#\r\nSet-Cookie: a=b"

    answer = await native.authorize(native.request(Pkce(), "nonsense", state=state))

    told = answered(answer.headers["location"])
    assert told["state"] == state
    assert (told["iss"], "code" in told) == (native.issuer, False)
    assert "set-cookie" not in answer.headers


# Codes: injection, replay, downgrade, mix-up


async def test_code_injection_a_stolen_code_is_no_use_without_its_proof(native: App, web: App) -> None:
    """Mallory has the code out of a log or a history, but neither verifier nor client."""
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    stolen = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}

    for verifier in (None, "", Pkce().verifier, pkce.challenge, "x" * 43):
        answer = await native.redeem(code, pkce, code_verifier=verifier)
        assert answer.status_code == 400
    for app in (web, App(native.clinic, SIGNING)):
        assert (await app.post("/auth/token", **stolen, code_verifier=pkce.verifier)).status_code == 400
    assert (await native.redeem(code, pkce)).status_code == 200, "and its owner still has it"


async def test_code_injection_a_code_of_one_session_does_not_fit_into_another(native: App) -> None:
    mine, theirs = Pkce(), Pkce()
    await native.code(SCOPE, mine, patient="p1")
    code = await native.code(SCOPE, theirs, patient="p2")

    answer = await native.redeem(code, mine)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")


async def test_code_replay_of_many_at_once_at_most_one_wins_and_then_all_is_over(native: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")

    answers = await asyncio.gather(*(native.redeem(code, pkce) for _ in range(8)))

    won = [read(answer) for answer in answers if answer.status_code == 200]
    assert len(won) <= 1
    for told in won:
        caller = Caller(native.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})
        assert (await caller.get("/fhir/Patient")).status_code == 401
        assert (await native.refresh(told["refresh_token"])).status_code == 400


@pytest.mark.parametrize(
    "downgrade",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "S256 plain"},
        {"code_challenge": ""},
    ],
)
async def test_pkce_downgrade_no_request_comes_through_without_s256(
    native: App, downgrade: dict[str, str | None]
) -> None:
    for method in ("GET", "POST"):
        answer = await native.authorize(native.request(Pkce(), SCOPE, **downgrade), method)
        assert answered(answer.headers["location"])["error"] == "invalid_request"


async def test_pkce_downgrade_two_methods_are_none(native: App) -> None:
    asked = [*native.request(Pkce(), SCOPE).items(), ("code_challenge_method", "plain")]

    for order in (asked, asked[::-1]):
        answer = await native.clinic.http.get(f"/auth/authorize?{urlencode(order)}")
        assert answered(answer.headers["location"])["error"] == "invalid_request"


async def test_mix_up_each_answer_says_whose_it_is(native: App) -> None:
    authorization = native.clinic.clinic.gateway.authorization
    granted = await native.approved(await native.waiting(native.request(Pkce(), SCOPE)), patient="p1")
    denied = answered(await authorization.deny(await native.waiting(native.request(Pkce(), SCOPE))))
    refused = answered((await native.authorize(native.request(Pkce(), "nonsense"))).headers["location"])

    assert {granted["iss"], denied["iss"], refused["iss"]} == {native.issuer}


async def test_a_page_that_was_tampered_with_grants_no_more_than_was_asked(native: App) -> None:
    id = await native.waiting(native.request(Pkce(), "patient/Patient.r"))
    more = ("patient/*.cruds", "system/*.cruds", "user/*.rs", "offline_access", "ehr/launch", "introspect")

    told = await native.approved(id, scopes=("patient/Patient.r", *more), patient="p1")

    assert told["code"]
    answer = await native.clinic.clinic.gateway.authorization.pending(id)
    assert answer is None


# Clients' keys


def without_signature(app: App, alg: Any) -> str:
    head, body, _ = app.assertion().split(".")
    del head
    return f"{b64(json.encode({'alg': alg, 'kid': KEYS['RS384']['kid'], 'typ': 'JWT'}))}.{body}."


def hmac_with_the_public_key(app: App, alg: str, secret: bytes) -> str:
    _, body, _ = app.assertion().split(".")
    head = b64(json.encode({"alg": alg, "kid": KEYS["RS384"]["kid"], "typ": "JWT"}))
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}[alg]
    return f"{head}.{body}.{b64(hmac.digest(secret, f'{head}.{body}'.encode(), digest))}"


def forged(app: App) -> Iterator[tuple[str, str]]:
    public = KEYS["RS384"]
    pem = PRIVATE["RS384"].as_pem(private=False)
    for alg in ("none", "None", "NONE", "", None, ["RS384"], "RS384"):
        yield f"no signature, alg {alg}", without_signature(app, alg)
    for alg in ("HS256", "HS384"):
        for name, secret in (("PEM", pem), ("modulus", public["n"].encode()), ("nothing", b"")):
            yield f"{alg} with the public key as {name}", hmac_with_the_public_key(app, alg, secret)
    mallory = RSAKey.generate_key(2048)
    own = mallory.as_dict(private=False)
    yield "a key sent along", app.assertion({"alg": "RS384", "jwk": own}, mallory)
    yield "a certificate sent along", app.assertion({"alg": "RS384", "x5c": ["AAAA"]}, mallory)
    yield (
        "an address of keys sent along",
        app.assertion(
            {"alg": "RS384", "jku": "https://mallory.example/jwks", "x5u": "https://mallory.example/cert"}, mallory
        ),
    )
    for alg in ("RS256", "RS512", "PS384"):
        same = RSAKey.import_key({name: value for name, value in public.items() if name != "alg"})
        yield alg, app.assertion({"alg": alg, "kid": public["kid"]}, same)
    yield "another client's key", app.assertion({"alg": "ES384", "kid": KEYS["RS384"]["kid"]})
    yield (
        "a shared key",
        app.assertion(
            {"alg": "HS384", "kid": public["kid"]},
            OctKey.import_key(public["n"]),  # type: ignore[arg-type]  # the attack
        ),
    )


async def test_alg_none_and_key_confusion_an_assertion_that_the_client_did_not_sign_opens_nothing(
    clinic: InProcess, service: App
) -> None:
    before = await clinic.counts()
    answers = {name: await service.credentials("system/*.rs", client_assertion=one) for name, one in forged(service)}

    assert {name: (one.status_code, read(one)["error"]) for name, one in answers.items()} == dict.fromkeys(
        answers, (400, "invalid_client")
    )
    assert len({answer.text for answer in answers.values()}) == 1, "and none of them tells more than another"
    assert await clinic.counts() == before, "nor uses up a jti"


class Noted(Egress):
    """Where somebody tried to make the server go."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(resolve=self._resolved)
        self.names: list[str] = []
        self._addresses = addresses

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        self.names.append(host)
        return self._addresses


PLACES = [
    "https://127.0.0.1/jwks",
    "https://localhost:8000/fhir/metadata",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/jwks",
    "https://mallory.example/jwks",
    "http://keys.example/jwks",
    "file:///etc/passwd",
    "https://keys.example/jwks#",
    "https://keys.example/jwks/",
    "https://KEYS.example/jwks",
]


def remote_client(clinic: InProcess, monkeypatch: pytest.MonkeyPatch, egress: Egress) -> App:
    """A service whose keys lie at https://keys.example/jwks."""
    rows = clinic.clinic.store.clients
    client = Client("remote", Kind.BACKEND, "Remote", ("system/*.rs",), jwks_uri="https://keys.example/jwks")
    rows.save(client)
    assertions = clinic.clinic.gateway.authorization._parts.server._authentication._assertions
    monkeypatch.setattr(assertions, "_remote", RemoteKeySets(egress, clinic.clinic.surface.clock))
    return App(clinic, replace(client, jwks=SERVICE.jwks))


@pytest.mark.parametrize("jku", PLACES)
async def test_jku_the_server_goes_nowhere_that_a_header_names(
    clinic: InProcess, monkeypatch: pytest.MonkeyPatch, jku: str
) -> None:
    egress = Noted("8.8.8.8")
    for app in (remote_client(clinic, monkeypatch, egress), App(clinic, SERVICE)):
        answer = await app.credentials("system/*.rs", client_assertion=app.assertion({"jku": jku}))
        assert (answer.status_code, read(answer)["error"]) == (400, "invalid_client")

    assert egress.names == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"])  # noqa: S104  refused
async def test_jku_a_registered_name_that_leads_into_our_network_is_not_followed(
    clinic: InProcess, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    egress = Noted(address)
    app = remote_client(clinic, monkeypatch, egress)

    answer = await app.credentials("system/*.rs", client_assertion=app.assertion({"jku": "https://keys.example/jwks"}))

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_client")
    assert egress.names == ["keys.example"]
    assert address not in answer.text


# Replay across processes


async def test_jti_replay_across_two_processes_is_refused(mongo_uri: str, tmp_path: Path) -> None:
    """Two servers that share nothing but the database, asked at the same time."""
    async with (
        running(mongo_uri, "test_attacks_jti", tmp_path) as one,
        running(mongo_uri, "test_attacks_jti", tmp_path) as other,
    ):
        register_all(one)
        apps = [App(inside, SERVICE) for inside in (one, other)]
        for _ in range(5):
            assertion = apps[0].assertion()

            answers = await asyncio.gather(
                *(app.credentials("system/*.rs", client_assertion=assertion) for app in apps * 3)
            )

            assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400, 400]
            late = await apps[1].credentials("system/*.rs", client_assertion=assertion)
            assert (late.status_code, read(late)["error"]) == (400, "invalid_client")


# What slips out


async def test_token_in_url_or_log_nothing_that_opens_anything_is_written_or_put_into_an_address(
    clinic: InProcess, web: App, service: App, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    pkce = Pkce()
    asked = web.request(pkce, SCOPE, state=MARK, login_hint=MARK)
    first = await web.authorize(asked)
    id = urlsplit(first.headers["location"]).query.partition("=")[2]
    approval = replace(NURSE, patient="p1", scopes=tuple(SCOPE.split()), name=MARK)
    back = await clinic.clinic.gateway.authorization.approve(id, approval)
    told = read(await web.redeem(answered(back)["code"], pkce))
    again = read(await web.refresh(told["refresh_token"]))
    assertion = service.assertion()
    backend = read(await service.credentials("system/*.rs", client_assertion=assertion))
    await service.credentials("system/*.rs", client_assertion=assertion)
    await web.redeem("wrong-code-of-somebody", pkce)
    await web.post("/auth/introspect", token=again["access_token"])
    await web.post("/auth/revoke", token=again["refresh_token"])

    printed = capfd.readouterr()
    written = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx2")]
    everything = "\n".join((*written, printed.out, printed.err))
    secrets = {
        *(told[name] for name in ("access_token", "refresh_token", "id_token")),
        *(again[name] for name in ("access_token", "refresh_token", "id_token")),
        *(backend["access_token"], assertion, answered(back)["code"], pkce.verifier, SECRET, id, MARK),
        *("wrong-code-of-somebody", basic("web", SECRET).removeprefix("Basic ")),
    }
    assert not [secret for secret in secrets if secret in everything]
    for address in (first.headers["location"], back):
        assert not [name for name in ("access_token", "refresh_token", "id_token") if name in address]


@pytest.mark.parametrize("place", ["query", "form", "cookie"])
async def test_token_in_url_one_that_comes_another_way_is_not_looked_at(native: App, place: str) -> None:
    token = (await native.tokens("openid user/*.rs"))["access_token"]
    http = native.clinic.http

    for path in ("/auth/userinfo", "/fhir/Patient"):
        answer = await {
            "query": lambda path=path: http.get(path, params={"access_token": token}),
            "form": lambda path=path: http.post(path, data={"access_token": token}),
            "cookie": lambda path=path: http.get(path, headers={"Cookie": f"access_token={token}"}),
        }[place]()
        assert answer.status_code == 401


async def test_credentials_in_the_url_of_the_token_endpoint_are_not_looked_at(web: App) -> None:
    pkce = Pkce()
    code = await web.code(SCOPE, pkce, patient="p1")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": pkce.verifier,
    }

    answer = await web.clinic.http.post("/auth/token", params={"client_id": "web", "client_secret": SECRET}, data=form)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_client")


async def test_a_code_or_a_refresh_token_is_no_access_token(native: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    told = read(await native.redeem(code, pkce))

    for wrong in (code, told["refresh_token"], told["id_token"]):
        caller = Caller(native.clinic.http, {"Authorization": f"Bearer {wrong}"})
        assert (await caller.get("/fhir/Patient")).status_code == 401
    assert (await native.refresh(told["access_token"])).status_code == 400
    assert parts(told["access_token"])[1]["scope"] == SCOPE


async def test_a_stolen_refresh_token_stands_for_no_client_that_has_to_prove_itself(native: App, web: App) -> None:
    """Only a public client may leave out its name, and only where its token is what it shows."""
    stolen = (await web.tokens(SCOPE, patient="p1"))["refresh_token"]
    own = (await native.tokens(SCOPE, patient="p1"))["refresh_token"]
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    redeeming = {"code": code, "code_verifier": pkce.verifier, "redirect_uri": CALLBACK}

    for form in (
        {"grant_type": "refresh_token", "refresh_token": stolen},
        {"grant_type": "refresh_token", "refresh_token": stolen, "client_id": native.client.client_id},
        {"grant_type": "authorization_code", "refresh_token": own, **redeeming},
        {"grant_type": "client_credentials", "refresh_token": own, "scope": "system/*.rs"},
    ):
        answer = await native.clinic.http.post("/auth/token", data=form)
        assert answer.status_code in {400, 401}
        assert "access_token" not in answer.text
    assert (await web.refresh(stolen)).status_code == 200, "nobody used it up"
    assert (await native.refresh(own)).status_code == 200


async def test_a_fault_of_ours_is_told_in_oauths_words_and_quotes_nothing(
    clinic: InProcess, service: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(asked: object) -> None:
        raise RuntimeError(MARK)

    monkeypatch.setattr(clinic.clinic.gateway.authorization._parts.server, "token", broken)

    answer = await service.credentials("system/*.rs")

    assert (answer.status_code, read(answer)["error"]) == (500, "server_error")
    assert MARK not in answer.text + "".join(record.getMessage() for record in caplog.records)


async def test_a_database_that_does_not_answer_gives_503_and_no_token(
    clinic: InProcess, service: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.kernel.errors import UnavailableError

    def broken(client_id: str) -> None:
        raise UnavailableError

    monkeypatch.setattr(clinic.clinic.store.clients, "get", broken)

    answer = await service.credentials("system/*.rs")

    assert (answer.status_code, read(answer)["error"]) == (503, "temporarily_unavailable")


async def test_a_flood_does_not_heap_up(clinic: InProcess, service: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.smart.oauth.threads._MOST_WAITING", 2)

    answers = await asyncio.gather(*(service.credentials("system/*.rs") for _ in range(12)))

    assert {answer.status_code for answer in answers} == {200, 503}
