"""The authorization request, and the code that comes of it: R-SMART-012 to -023, -027 to -034."""

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest
from httpx2 import Response

from fhir_server.kernel.errors import NotFoundError
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.store.grant_rows import GrantRows
from tests.clinics import Caller, InProcess, read
from tests.smart.apps import CALLBACK, NURSE, SECRET, App, Pkce, answered, basic, parts

pytestmark = pytest.mark.anyio

SCOPE = "launch/patient patient/*.rs openid fhirUser"


def sent_back(answer: Response) -> dict[str, str]:
    """The error that the app finds in its address."""
    assert answer.status_code == 303, answer.text
    return answered(answer.headers["location"])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_r_smart_012_a_good_request_leads_to_the_sign_in(app: App, method: str) -> None:
    answer = await app.authorize(app.request(Pkce(), SCOPE), method)

    place = urlsplit(answer.headers["location"])
    assert answer.status_code == 303
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{app.issuer}/auth/sign-in"
    assert "cache-control" in answer.headers


async def test_the_whole_way_gives_tokens_that_work(app: App) -> None:
    told = await app.tokens("launch/patient patient/Patient.rs", patient="p1")

    caller = Caller(app.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200
    assert (await caller.get("/fhir/Observation")).status_code == 403


async def test_r_smart_030_032_034_the_answer_has_what_was_granted_and_the_context(app: App) -> None:
    told = await app.tokens(f"{SCOPE} nonsense launch/nonsense system/*.rs", patient="p1")

    assert told["token_type"] == "Bearer"
    assert isinstance(told["expires_in"], int)
    assert 0 < told["expires_in"] <= 3600
    assert told["scope"] == SCOPE
    assert told["patient"] == "p1"
    assert "encounter" not in told
    assert "refresh_token" not in told


async def test_r_smart_033_v1_is_answered_in_v1(native: App) -> None:
    told = await native.tokens("launch/patient patient/Observation.read patient/Patient.*", patient="p1")

    assert told["scope"] == "launch/patient patient/Observation.read patient/Patient.*"


async def test_the_token_says_who_holds_it_in_which_role_and_for_which_purposes(native: App) -> None:
    _, claims = parts((await native.tokens(SCOPE, patient="p1"))["access_token"])

    assert (claims["sub"], claims["patient"], claims["fhirUser"]) == ("user-nora", "p1", "Practitioner/nora")
    assert (claims["role"], claims["amr"]) == ("nurse", ["pwd", "otp", "mfa"])
    assert claims["auth_time"] == int(NURSE.signed_in.timestamp())
    iua = claims["extensions"]["ihe_iua"]
    assert (iua["subject_name"], iua["person_id"]) == ("Nora Nurse", "p1")
    assert [one["code"] for one in iua["subject_role"]] == ["nurse"]
    assert [one["code"] for one in iua["purpose_of_use"]] == ["TREAT", "HPAYMT"]


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "service"},
        {"redirect_uri": None},
        {"redirect_uri": "https://mallory.example/callback"},
        {"redirect_uri": CALLBACK + "&more=1"},
        {"redirect_uri": CALLBACK.replace("/callback", "/callback/../callback")},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": CALLBACK + "#f"},
        {"redirect_uri": 'https://app.example/callback"><script>'},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
async def test_r_smart_013_to_a_place_that_is_not_sure_nobody_is_sent(
    native: App, changed: dict[str, str | None]
) -> None:
    answer = await native.authorize(native.request(Pkce(), SCOPE, **changed))

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert "mallory" not in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'x"y\\z'}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"request": "x.y.z"}, "invalid_request"),
        ({"request_uri": "https://app.example/request"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "nonsense"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 50}, "invalid_request"),
        ({"login_hint": "x" * 3000}, "invalid_request"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_r_smart_014_every_other_failure_goes_back_to_the_app(
    native: App, changed: dict[str, str | None], error: str, method: str
) -> None:
    told = sent_back(await native.authorize(native.request(Pkce(), SCOPE, **changed), method))

    assert (told["error"], told["state"], told["iss"]) == (error, "a state", native.issuer)
    assert "code" not in told


@pytest.mark.parametrize(
    "aud", [None, "", "https://elsewhere.example/fhir", "http://127.0.0.1:8000", "http://127.0.0.1:8000/fhir/Patient"]
)
async def test_r_smart_015_another_audience_never_gives_a_code(native: App, aud: str | None) -> None:
    told = sent_back(await native.authorize(native.request(Pkce(), SCOPE, aud=aud)))

    assert told["error"] == "invalid_request"
    assert "code" not in told


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "http://127.0.0.1:8000/fhir/"},
        {"aud": None, "resource": "http://127.0.0.1:8000/fhir"},
        {"resource": "http://127.0.0.1:8000/fhir/"},
    ],
)
async def test_r_smart_016_the_audience_may_end_in_a_slash_or_be_called_resource(
    native: App, changed: dict[str, str | None]
) -> None:
    assert await native.waiting(native.request(Pkce(), SCOPE, **changed))


async def test_r_smart_016_audience_and_resource_must_agree(native: App) -> None:
    request = native.request(Pkce(), SCOPE, resource="https://elsewhere.example/fhir")

    assert sent_back(await native.authorize(request))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": ""},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "x" * 42},
        {"code_challenge": "x" * 44},
        {"code_challenge": "!" * 43},
    ],
)
async def test_r_smart_017_pkce_by_s256_is_for_everybody(app: App, changed: dict[str, str | None]) -> None:
    told = sent_back(await app.authorize(app.request(Pkce(), SCOPE, **changed)))

    assert told["error"] == "invalid_request"


STATES = ["a b+c%20&d=e", "ünï©ødé ☃", "x" * 1500, '{"json": [1, "two"]}', "a/b?c#d", "\t"]


@pytest.mark.parametrize("state", STATES)
async def test_r_smart_018_the_state_comes_back_byte_for_byte(native: App, state: str) -> None:
    refused = await native.authorize(native.request(Pkce(), "nonsense", state=state))
    id = await native.waiting(native.request(Pkce(), SCOPE, state=state))
    granted = await native.approved(id, patient="p1")

    assert granted["state"] == state
    assert sent_back(refused)["state"] == state
    [raw] = [part for part in refused.headers["location"].split("&") if part.startswith("state=")]
    assert unquote(raw.removeprefix("state=")) == state, "also for those who do not read + as a space"


async def test_without_a_state_none_comes_back(native: App) -> None:
    told = await native.approved(await native.waiting(native.request(Pkce(), SCOPE, state=None)), patient="p1")

    assert "state" not in told
    assert told["code"]


async def test_the_issuer_is_in_every_answer_against_mix_ups(native: App) -> None:
    granted = await native.approved(await native.waiting(native.request(Pkce(), SCOPE)), patient="p1")
    denied = await native.clinic.clinic.gateway.authorization.deny(await native.waiting(native.request(Pkce(), SCOPE)))

    assert granted["iss"] == native.issuer
    assert answered(denied)["iss"] == native.issuer


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("access_denied", "access_denied"),
        ("login_required", "login_required"),
        ("consent_required", "consent_required"),
        ("nonsense", "access_denied"),
    ],
)
async def test_r_smart_022_who_says_no_is_told_to_the_app(native: App, said: str, told: str) -> None:
    id = await native.waiting(native.request(Pkce(), SCOPE))

    answer = answered(await native.clinic.clinic.gateway.authorization.deny(id, said))

    assert (answer["error"], answer["state"]) == (told, "a state")


async def test_what_waits_tells_the_pages_what_they_need(native: App) -> None:
    request = native.request(
        Pkce(), f"{SCOPE} nonsense", prompt="login consent", login_hint="nora", max_age="60", ui_locales="fr en"
    )
    now = native.clinic.clinic.surface.clock.now()

    pending = await native.clinic.clinic.gateway.authorization.pending(await native.waiting(request))

    assert pending is not None
    assert (pending.client_id, pending.client_name) == ("native", "Native app")
    assert pending.scopes == tuple(SCOPE.split())
    assert pending.needs_patient
    assert (pending.patient, pending.encounter) == (None, None)
    assert (pending.prompt, pending.login_hint, pending.max_age) == (("login", "consent"), "nora", 60)
    assert pending.ui_locales == ("fr", "en")
    assert timedelta(minutes=9) < pending.expires - now < timedelta(minutes=11)


@pytest.mark.parametrize(
    ("scope", "needs"),
    [
        ("openid", False),
        ("user/*.rs", False),
        ("launch/patient", True),
        ("patient/Observation.rs", True),
    ],
)
async def test_r_smart_023_a_patient_is_picked_wherever_a_scope_speaks_of_one(
    native: App, scope: str, *, needs: bool
) -> None:
    pending = await native.clinic.clinic.gateway.authorization.pending(
        await native.waiting(native.request(Pkce(), scope))
    )

    assert pending is not None
    assert pending.needs_patient is needs


async def test_r_smart_023_without_a_patient_no_scope_of_one_is_granted(native: App) -> None:
    told = await native.tokens(f"{SCOPE} user/Patient.rs launch/encounter")

    assert told["scope"] == "openid fhirUser user/Patient.rs"
    assert "patient" not in told


async def test_a_standalone_encounter_is_told_where_the_pages_know_one(native: App) -> None:
    told = await native.tokens(f"{SCOPE} launch/encounter", patient="p1", encounter="e1")

    assert (told["patient"], told["encounter"]) == ("p1", "e1")
    assert "launch/encounter" in told["scope"]


async def test_r_smart_024_what_was_unticked_or_narrowed_is_not_granted(native: App) -> None:
    chosen = ("launch/patient", "patient/Observation.r", "patient/Patient.rs")

    told = await native.tokens(f"{SCOPE} offline_access", patient="p1", scopes=chosen)

    assert told["scope"] == " ".join(chosen)
    assert "id_token" not in told
    assert "refresh_token" not in told


@pytest.mark.parametrize(
    "more", ["patient/*.cruds", "user/*.rs", "system/*.rs", "offline_access", "patient/AuditEvent.rs", "nonsense"]
)
async def test_r_smart_032_a_page_cannot_grant_more_than_was_asked(native: App, more: str) -> None:
    told = await native.tokens(SCOPE, patient="p1", scopes=(*SCOPE.split(), more))

    assert told["scope"] == SCOPE


async def test_where_nothing_is_granted_the_app_is_denied(native: App) -> None:
    told = await native.approved(await native.waiting(native.request(Pkce(), "patient/*.rs")), patient=None)

    assert told["error"] == "access_denied"


async def test_a_request_is_answered_once(native: App) -> None:
    id = await native.waiting(native.request(Pkce(), SCOPE))
    await native.approved(id, patient="p1")
    authorization = native.clinic.clinic.gateway.authorization

    assert await authorization.pending(id) is None
    with pytest.raises(NotFoundError):
        await authorization.approve(id, NURSE)
    with pytest.raises(NotFoundError):
        await authorization.deny(id)
    assert await authorization.pending("nobody's") is None


async def test_a_client_that_was_disabled_meanwhile_gets_no_code(clinic: InProcess) -> None:
    rows = clinic.clinic.store.clients
    brief = App(clinic, Client("brief", Kind.PUBLIC, "Brief", ("patient/*.rs",), (CALLBACK,)))
    rows.save(brief.client)
    id = await brief.waiting(brief.request(Pkce(), "patient/*.rs"))
    rows.save(brief.client.changed(disabled=True))

    assert await clinic.clinic.gateway.authorization.pending(id) is None
    with pytest.raises(NotFoundError):
        await clinic.clinic.gateway.authorization.approve(id, replace(NURSE, patient="p1", scopes=("patient/*.rs",)))


async def test_r_smart_020_021_a_code_is_good_once_and_a_second_use_ends_what_the_first_gave(app: App) -> None:
    pkce = Pkce()
    code = await app.code(f"{SCOPE} offline_access", pkce, patient="p1")
    first = read(await app.redeem(code, pkce))
    caller = Caller(app.clinic.http, {"Authorization": f"Bearer {first['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200

    second = await app.redeem(code, pkce)

    assert (second.status_code, read(second)["error"]) == (400, "invalid_grant")
    assert (await caller.get("/fhir/Patient")).status_code == 401
    assert read(await app.refresh(first["refresh_token"]))["error"] == "invalid_grant"


async def test_r_smart_020_021_whoever_loses_a_race_for_a_code_ends_it_for_both(
    native: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process redeems it between our look and our use."""
    rows = type(native.clinic.clinic.store.grants)
    redeem = rows.redeem

    def second(self: GrantRows, id: str, expires: datetime) -> bool:
        return redeem(self, id, expires) and redeem(self, id, expires)

    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    with monkeypatch.context() as racing:
        racing.setattr(rows, "redeem", second)
        answer = await native.redeem(code, pkce)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")
    assert (await native.redeem(code, pkce)).status_code == 400


async def test_r_smart_013_two_places_are_none(native: App) -> None:
    """Which of them a reader takes is not for an attacker to choose."""
    asked = urlencode([*native.request(Pkce(), SCOPE).items(), ("redirect_uri", "https://evil.example/")])

    answer = await native.clinic.http.get(f"/auth/authorize?{asked}")

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_r_smart_020_a_code_is_for_the_client_that_asked(native: App, web: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")

    stolen = await web.redeem(code, pkce)

    assert (stolen.status_code, read(stolen)["error"]) == (400, "invalid_grant")
    assert (await native.redeem(code, pkce)).status_code == 200, "and its owner still has it"


@pytest.mark.parametrize("uri", [None, "", "http://127.0.0.1/native", "https://mallory.example/callback"])
async def test_r_smart_029_a_code_is_for_the_address_that_was_asked_for(native: App, uri: str | None) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")

    answer = await native.redeem(code, pkce, redirect_uri=uri)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("code", [None, "", "nonsense", "x" * 5000])
async def test_r_smart_029_a_code_that_is_none_is_refused(app: App, code: str | None) -> None:
    answer = await app.redeem(code, Pkce())

    assert answer.status_code == 400
    assert read(answer)["error"] in {"invalid_grant", "invalid_request"}


@pytest.mark.parametrize("verifier", ["missing", "empty", "wrong", "the challenge", "short", "odd letters"])
async def test_r_smart_028_the_proof_must_be_the_right_one(app: App, verifier: str) -> None:
    pkce = Pkce()
    code = await app.code(SCOPE, pkce, patient="p1")
    tried = {
        "missing": None,
        "empty": "",
        "wrong": Pkce().verifier,
        "the challenge": pkce.challenge,
        "short": "x",
        "odd letters": "é" * 43,
    }[verifier]

    answer = await app.redeem(code, pkce, code_verifier=tried)

    assert answer.status_code == 400
    assert read(answer)["error"] in {"invalid_grant", "invalid_request"}
    assert "access_token" not in read(answer)


async def test_r_smart_020_a_code_lives_a_minute(native: App, monkeypatch: pytest.MonkeyPatch) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1")
    clock = native.clinic.clinic.gateway.clock
    later = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(type(clock), "now", lambda _: later)

    answer = await native.redeem(code, pkce)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")


async def test_a_code_whose_sign_in_ended_meanwhile_gives_nothing(native: App) -> None:
    pkce = Pkce()
    code = await native.code(SCOPE, pkce, patient="p1", session="ended-soon")

    assert await native.clinic.clinic.store.grant_states.end_all("session/ended-soon", "signed-out") == 1

    assert read(await native.redeem(code, pkce))["error"] == "invalid_grant"


async def test_r_smart_026_each_kind_proves_itself_in_its_own_way(native: App, web: App, signing: App) -> None:
    for app, others in ((web, (native, signing)), (signing, (native, web)), (native, (web, signing))):
        pkce = Pkce()
        code = await app.code(SCOPE, pkce, patient="p1")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": pkce.verifier,
            "client_id": app.client.client_id,
        }
        for other in others:
            proof, headers = other.proof()
            answer = await app.clinic.http.post("/auth/token", data={**proof, **form}, headers=headers)
            assert answer.status_code in {400, 401}, (app.client.client_id, other.client.client_id)
            assert read(answer)["error"] == "invalid_client"
        assert (await app.redeem(code, pkce)).status_code == 200


async def test_r_smart_027_basic_beside_the_same_client_id_and_unknown_fields_are_borne(web: App) -> None:
    pkce = Pkce()
    code = await web.code(SCOPE, pkce, patient="p1")

    answer = await web.redeem(code, pkce, client_id="web", state="a state", nonsense="x")

    assert answer.status_code == 200, answer.text


async def test_a_secret_in_the_form_is_taken_too(web: App) -> None:
    pkce = Pkce()
    code = await web.code(SCOPE, pkce, patient="p1")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": pkce.verifier,
        "client_id": "web",
        "client_secret": SECRET,
    }

    assert (await web.clinic.http.post("/auth/token", data={**form, "client_secret": "wrong"})).status_code == 400
    assert (await web.clinic.http.post("/auth/token", data=form)).status_code == 200


async def test_basic_with_another_client_id_beside_is_refused(web: App) -> None:
    answer = await web.clinic.http.post(
        "/auth/token",
        data={"grant_type": "authorization_code", "code": "x", "client_id": "native"},
        headers={"Authorization": basic("web", SECRET)},
    )

    assert (answer.status_code, read(answer)["error"]) == (401, "invalid_client")


async def test_a_native_app_listens_on_any_port(native: App) -> None:
    pkce = Pkce()
    place = "http://127.0.0.1:51004/native"
    code = await native.code(SCOPE, pkce, {"redirect_uri": place}, patient="p1")

    assert (await native.redeem(code, pkce)).status_code == 400
    assert (await native.redeem(code, pkce, redirect_uri=place)).status_code == 200


async def test_a_flood_of_requests_from_one_address_is_stemmed(
    clinic: InProcess, native: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = clinic.clinic.gateway.authorization._parts.limits
    monkeypatch.setattr(limits, "_left", type(limits._left)())
    monkeypatch.setattr("fhir_server.smart.oauth.limits._REQUESTS", 3.0)
    monkeypatch.setattr("fhir_server.smart.oauth.limits._REQUESTS_A_SECOND", 0.001)
    asked = native.request(Pkce(), "nonsense")

    answers = [await native.authorize(asked) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [303, 303, 303, 503, 503]
    assert read(answers[-1])["error"] == "temporarily_unavailable"


async def test_nothing_of_a_request_stands_in_an_address_of_ours(native: App) -> None:
    answer = await native.authorize(native.request(Pkce(), SCOPE, login_hint="nora@clinic.example"))

    [(name, value)] = parse_qsl(urlsplit(answer.headers["location"]).query)
    assert name == "request"
    assert len(value) >= 43
