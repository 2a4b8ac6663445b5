"""Refresh tokens: R-SMART-038 to -041, -085."""

import asyncio
from datetime import timedelta

import pytest

from fhir_server.smart.oauth.wiring import GrantEnds
from fhir_server.smart.signin.sessions import Ended
from tests.clinics import Caller, InProcess, read
from tests.smart.apps import App, Pkce, parts

pytestmark = pytest.mark.anyio

OFFLINE = "launch/patient patient/*.rs openid fhirUser offline_access"
ONLINE = "launch/patient patient/*.rs online_access"


@pytest.fixture
def alive(clinic: InProcess, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The sign-ins that live, as the sign-in pages would know."""
    sessions: set[str] = set()
    server = clinic.clinic.gateway.authorization._parts.server
    monkeypatch.setattr(server, "signed_in", lambda session: session in sessions)
    return sessions


async def test_r_smart_038_041_offline_access_goes_on_after_the_user_left(app: App) -> None:
    first = await app.tokens(OFFLINE, patient="p1")

    second = read(await app.refresh(first["refresh_token"]))
    third = read(await app.refresh(second["refresh_token"], scope="patient/Patient.r offline_access"))

    assert second["scope"] == first["scope"]
    assert third["scope"] == "patient/Patient.r offline_access"
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    caller = Caller(app.clinic.http, {"Authorization": f"Bearer {third['access_token']}"})
    assert (await caller.get("/fhir/Patient/nobody")).status_code == 404
    assert (await caller.get("/fhir/Patient")).status_code == 403


async def test_r_smart_085_an_app_that_signs_does_so_for_its_codes_and_its_refreshes(signing: App) -> None:
    """Each time anew: what was signed for the code is used up."""
    pkce, first = Pkce(), signing.assertion()
    code = await signing.code(OFFLINE, pkce, patient="p1")

    told = await signing.redeem(code, pkce, client_assertion=first)
    again = await signing.refresh(read(told)["refresh_token"], client_assertion=first)
    anew = await signing.refresh(read(told)["refresh_token"])

    assert (told.status_code, anew.status_code) == (200, 200)
    assert read(again)["error"] == "invalid_client"


async def test_r_smart_040_the_answer_has_scope_context_and_id_and_is_not_kept(native: App) -> None:
    first = await native.tokens(OFFLINE, patient="p1")

    answer = await native.refresh(first["refresh_token"])

    told = read(answer)
    assert told.keys() >= {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert (told["patient"], told["token_type"]) == ("p1", "Bearer")
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["pragma"] == "no-cache"
    assert parts(told["id_token"])[1]["sub"] == parts(first["id_token"])[1]["sub"]


async def test_r_smart_038_without_such_a_scope_there_is_no_refresh_token(native: App) -> None:
    assert "refresh_token" not in await native.tokens("launch/patient patient/*.rs", patient="p1")


@pytest.mark.parametrize(
    "scope", ["patient/*.cruds", "user/*.rs", "patient/*.rs user/Patient.r", "system/*.rs", "online_access", "nonsense"]
)
async def test_r_smart_039_a_broader_scope_is_refused_and_uses_nothing_up(native: App, scope: str) -> None:
    first = await native.tokens(OFFLINE, patient="p1")

    answer = await native.refresh(first["refresh_token"], scope=scope)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_scope")
    assert (await native.refresh(first["refresh_token"])).status_code == 200


async def test_r_smart_039_what_was_left_out_once_comes_back_without_a_scope(native: App) -> None:
    first = await native.tokens(OFFLINE, patient="p1")
    less = read(await native.refresh(first["refresh_token"], scope="patient/Patient.r"))

    again = read(await native.refresh(less["refresh_token"]))

    assert again["scope"] == first["scope"]


async def test_r_smart_041_a_token_that_comes_twice_ends_the_family(app: App) -> None:
    first = await app.tokens(OFFLINE, patient="p1")
    second = read(await app.refresh(first["refresh_token"]))
    caller = Caller(app.clinic.http, {"Authorization": f"Bearer {second['access_token']}"})
    assert (await caller.get("/fhir/Patient")).status_code == 200

    reused = await app.refresh(first["refresh_token"])

    assert (reused.status_code, read(reused)["error"]) == (400, "invalid_grant")
    assert read(await app.refresh(second["refresh_token"]))["error"] == "invalid_grant"
    assert (await caller.get("/fhir/Patient")).status_code == 401


async def test_r_smart_041_of_two_at_once_one_wins_and_then_none(native: App) -> None:
    first = await native.tokens(OFFLINE, patient="p1")

    answers = await asyncio.gather(*(native.refresh(first["refresh_token"]) for _ in range(4)))

    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) <= 1
    for answer in won:
        assert (await native.refresh(read(answer)["refresh_token"])).status_code == 400


async def test_r_smart_041_who_finds_it_used_in_the_same_instant_ends_the_family(
    native: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await native.tokens(OFFLINE, patient="p1")

    with monkeypatch.context() as patched:
        patched.setattr(type(native.clinic.clinic.store.grants), "use_refresh", lambda *_: False)
        late = await native.refresh(first["refresh_token"])
    then = await native.refresh(first["refresh_token"])

    assert [read(answer)["error"] for answer in (late, then)] == ["invalid_grant", "invalid_grant"]


async def test_r_smart_038_a_refresh_token_is_its_clients_own(native: App, web: App, signing: App) -> None:
    first = await native.tokens(OFFLINE, patient="p1")

    for other in (web, signing):
        answer = await other.refresh(first["refresh_token"])
        assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")
    assert (await native.refresh(first["refresh_token"])).status_code == 200, "nobody else used it up"


async def test_r_smart_038_a_public_client_may_leave_out_its_name(native: App) -> None:
    """As npm's fhirclient does; RFC 6749 section 6 asks for none."""
    first = await native.tokens(OFFLINE, patient="p1")

    again = await native.refresh(first["refresh_token"], client_id=None)

    assert again.status_code == 200, again.text
    assert read(again)["scope"] == first["scope"]
    replayed = await native.refresh(first["refresh_token"], client_id=None)
    assert (replayed.status_code, read(replayed)["error"]) == (400, "invalid_grant")
    assert (await native.refresh(read(again)["refresh_token"])).status_code == 400, "the family has ended"


async def test_r_smart_026_a_client_that_can_prove_itself_may_not_leave_that_out(web: App, signing: App) -> None:
    for one in (web, signing):
        first = await one.tokens(OFFLINE, patient="p1")
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

        for named in ({}, {"client_id": one.client.client_id}):
            answer = await one.clinic.http.post("/auth/token", data={**form, **named})
            assert answer.status_code in {400, 401}
            assert read(answer)["error"] == "invalid_client"
        assert (await one.refresh(first["refresh_token"])).status_code == 200, "and nothing was used up"


@pytest.mark.parametrize("token", ["nonsense", "x" * 5000, "a.b.c"])
async def test_r_smart_042_a_refresh_token_that_is_none_names_nobody(native: App, token: str) -> None:
    answer = await native.refresh(token, client_id=None)

    assert answer.status_code in {400, 401}
    assert read(answer)["error"] == "invalid_client"


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "a.b.c"])
async def test_r_smart_042_a_refresh_token_that_is_none_is_refused(app: App, token: str) -> None:
    answer = await app.refresh(token)

    assert answer.status_code == 400
    assert read(answer)["error"] in {"invalid_grant", "invalid_request"}


async def test_r_smart_038_online_access_lasts_as_long_as_the_sign_in(native: App, alive: set[str]) -> None:
    alive.add("session-1")
    first = await native.tokens(ONLINE, patient="p1")
    second = read(await native.refresh(first["refresh_token"]))

    alive.clear()

    answer = await native.refresh(second["refresh_token"])
    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")


async def test_r_smart_038_where_nobody_is_signed_in_nothing_is_online(native: App) -> None:
    first = await native.tokens(ONLINE, patient="p1", session="unknown")

    answer = await native.refresh(first["refresh_token"])

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_grant")


async def test_signing_out_ends_what_is_online_and_leaves_what_is_offline(native: App, alive: set[str]) -> None:
    alive.add("s-out")
    online = await native.tokens(ONLINE, patient="p1", session="s-out")
    plain = await native.tokens("patient/*.rs", patient="p1", session="s-out")
    offline = await native.tokens(OFFLINE, patient="p1", session="s-out")

    await native.clinic.clinic.store.grant_states.end_all("session/s-out", "signed-out")

    for told, status in ((online, 401), (plain, 401), (offline, 200)):
        caller = Caller(native.clinic.http, {"Authorization": f"Bearer {told['access_token']}"})
        assert (await caller.get("/fhir/Patient")).status_code == status
    assert (await native.refresh(online["refresh_token"])).status_code == 400
    assert (await native.refresh(offline["refresh_token"])).status_code == 200


@pytest.mark.parametrize(("scope", "lives"), [(OFFLINE, timedelta(days=90)), (ONLINE, timedelta(hours=12))])
async def test_a_family_has_an_absolute_end(
    native: App, alive: set[str], monkeypatch: pytest.MonkeyPatch, scope: str, lives: timedelta
) -> None:
    alive.add("session-1")
    first = await native.tokens(scope, patient="p1")
    clock = native.clinic.clinic.gateway.clock
    begun = clock.now()

    monkeypatch.setattr(type(clock), "now", lambda _: begun + lives - timedelta(seconds=100))
    late = await native.refresh(first["refresh_token"])
    monkeypatch.setattr(type(clock), "now", lambda _: begun + lives + timedelta(seconds=100))
    too_late = await native.refresh(read(late)["refresh_token"])

    assert late.status_code == 200
    assert read(late)["expires_in"] <= 160, "no token outlives the consent"
    assert (too_late.status_code, read(too_late)["error"]) == (400, "invalid_grant")


async def test_a_person_who_leaves_takes_all_of_it_along(native: App, web: App) -> None:
    told = [await app.tokens(OFFLINE, patient="p1", subject="leaver") for app in (native, web)]

    await GrantEnds(native.clinic.clinic.store.grant_states).user_ended("leaver", Ended.LEFT)

    for app, tokens in zip((native, web), told, strict=True):
        assert (await app.refresh(tokens["refresh_token"])).status_code == 400
        caller = Caller(app.clinic.http, {"Authorization": f"Bearer {tokens['access_token']}"})
        assert (await caller.get("/fhir/Patient")).status_code == 401
