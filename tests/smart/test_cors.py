"""Pages of other origins: R-SMART-086, -087."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.clients.client import Client
from fhir_server.smart.origins import Origins
from tests.clinics import InProcess, read
from tests.fakes.authorization import FakeClients
from tests.fakes.clock import FakeClock
from tests.smart.apps import NATIVE, App, Pkce

pytestmark = pytest.mark.anyio

OURS, FOREIGN = "https://app.example", "https://mallory.example"
OPEN = [
    "/fhir/metadata",
    "/fhir/.well-known/smart-configuration",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/auth/jwks",
    "/auth/style.json",
]
ALLOW = "access-control-allow-origin"


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", [OURS, FOREIGN, "null"])
async def test_r_smart_086_descriptions_are_for_everybody(clinic: InProcess, path: str, origin: str) -> None:
    answer = await clinic.http.get(path, headers={"Origin": origin})

    assert (answer.status_code, answer.headers[ALLOW]) == (200, "*")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/auth/token", 400),
        ("POST", "/auth/revoke", 400),
        ("POST", "/auth/introspect", 401),
        ("GET", "/auth/userinfo", 401),
        ("GET", "/fhir/Patient", 401),
        ("GET", "/fhir/Nonsense", 401),
        ("POST", "/fhir", 401),
    ],
)
async def test_r_smart_086_the_rest_is_for_pages_of_registered_clients_also_when_it_fails(
    clinic: InProcess, method: str, path: str, status: int
) -> None:
    ours = await clinic.http.request(method, path, headers={"Origin": OURS})
    foreign = await clinic.http.request(method, path, headers={"Origin": FOREIGN})

    assert (ours.status_code, ours.headers[ALLOW]) == (status, OURS)
    assert ALLOW not in foreign.headers
    for answer in (ours, foreign):
        assert "Origin" in answer.headers["vary"], "so that no cache gives one the other's answer"
    assert "access-control-allow-credentials" not in ours.headers


async def test_r_smart_086_on_the_real_answers_too(clinic: InProcess, native: App) -> None:
    pkce = Pkce()
    code = await native.code("patient/*.rs", pkce, patient="p1")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": native.client.redirect_uris[0],
        "code_verifier": pkce.verifier,
        "client_id": "native",
    }

    token = await clinic.http.post("/auth/token", data=form, headers={"Origin": OURS})
    bearer = {"Authorization": f"Bearer {read(token)['access_token']}", "Origin": OURS}
    search = await clinic.http.get("/fhir/Patient", headers=bearer)

    for answer in (token, search):
        assert (answer.status_code, answer.headers[ALLOW]) == (200, OURS)
    exposed = {name.strip().casefold() for name in search.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {
        *("etag", "location", "content-location", "last-modified", "x-progress", "retry-after", "x-request-id"),
    }


@pytest.mark.parametrize("path", ["/fhir/Patient/1", "/fhir", "/auth/token", "/fhir/metadata"])
async def test_r_smart_087_a_preflight_needs_no_token_and_learns_what_may_be_sent(clinic: InProcess, path: str) -> None:
    asking = {"Origin": OURS, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}

    answer = await clinic.http.request("OPTIONS", path, headers=asking)

    allowed = {name.strip().casefold() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert answer.status_code == 204
    assert answer.headers[ALLOW] in {OURS, "*"}
    assert allowed >= {
        "authorization",
        "content-type",
        "accept",
        "if-match",
        "if-none-exist",
        "if-none-match",
        "prefer",
    }
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(
        answer.headers["access-control-allow-methods"].replace(" ", "").split(",")
    )


async def test_a_preflight_from_elsewhere_is_told_nothing(clinic: InProcess) -> None:
    asking = {"Origin": FOREIGN, "Access-Control-Request-Method": "PUT"}

    answer = await clinic.http.request("OPTIONS", "/fhir/Patient/1", headers=asking)

    assert answer.status_code == 204
    assert not {name for name in answer.headers if name.startswith("access-control")}


@pytest.mark.parametrize("path", ["/auth/authorize", "/auth/sign-in", "/auth/launch", "/healthz"])
async def test_pages_and_launches_are_shared_with_nobody(clinic: InProcess, path: str) -> None:
    answer = await clinic.http.get(path, headers={"Origin": OURS})

    assert ALLOW not in answer.headers


async def test_without_an_origin_nothing_is_said(clinic: InProcess) -> None:
    answer = await clinic.http.get("/fhir/Patient")

    assert not {name for name in answer.headers if name.startswith("access-control")}
    assert "Origin" not in answer.headers.get("vary", "")


async def test_what_was_known_of_origins_stays_while_the_database_does_not_answer() -> None:
    class Failing(FakeClients):
        def all(self) -> Sequence[Client]:
            if self.fails:
                raise UnavailableError
            return super().all()

        fails = False

    clients, clock = Failing(NATIVE), FakeClock()
    origins = Origins(clients, clock)
    assert await origins.allows(OURS)
    clients.fails = True
    clock.advance(timedelta(minutes=1))

    assert await origins.allows(OURS)
    assert not await origins.allows(FOREIGN)


async def test_a_native_apps_page_may_have_any_port(clinic: InProcess) -> None:
    for origin, allowed in (("http://127.0.0.1:50555", True), ("http://127.0.0.1.evil.example", False)):
        answer = await clinic.http.get("/fhir/Patient", headers={"Origin": origin})
        assert (ALLOW in answer.headers) is allowed
