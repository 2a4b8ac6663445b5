"""From an app's first request to its last token, over the running demo: discovery, sign-in pages, consent, tokens, end.

R-SMART-004, -012, -022, -024, -038, -042, -067; rows S61, T76. A browser without scripts presses the buttons.
"""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyotp
import pytest
from httpx2 import AsyncClient, Response
from joserfc import jwt
from joserfc.jwk import import_key

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.browsing import Browser, Page
from tests.clinics import read
from tests.servers import Server, started
from tests.smart.apps import ASSERTION, Pkce, basic

pytestmark = pytest.mark.anyio

SCOPE = "openid fhirUser launch/patient patient/*.rs offline_access"


@dataclass(frozen=True)
class Demo:
    """The running server, what its `demo.json` says, and a browser."""

    server: Server
    told: Json
    http: AsyncClient
    browser: Browser

    def client(self, kind: str) -> Json:
        found: Json = next(one for one in self.told["clients"] if one["kind"] == kind)
        return found

    def user(self, role: str) -> Json:
        found: Json = next(one for one in self.told["users"] if one["role"] == role)
        return found

    async def token(self, client: Json, **fields: str) -> Response:
        headers: dict[str, str] = {}
        if client["kind"] == "public":
            fields["client_id"] = client["client_id"]
        elif client["kind"] == "confidential-symmetric":
            headers["Authorization"] = basic(client["client_id"], client["secret"])
        else:
            fields |= {"client_assertion_type": ASSERTION, "client_assertion": self._assertion(client)}
        return await self.http.post("/auth/token", data=fields, headers=headers)

    def _assertion(self, client: Json) -> str:
        private = client["private_jwk"]
        claims = {
            "iss": client["client_id"],
            "sub": client["client_id"],
            "aud": f"{self.told['issuer']}/auth/token",
            "exp": int(time.time()) + 200,
            "jti": secrets.token_hex(16),
        }
        header = {"alg": private["alg"], "kid": private["kid"]}
        return jwt.encode(header, claims, import_key(private), algorithms=[private["alg"]])

    async def asked(self, client: Json, pkce: Pkce, scope: str) -> Page:
        smart = read(await self.http.get("/fhir/.well-known/smart-configuration"))
        request = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "scope": scope,
            "state": "a state",
            "aud": self.told["fhir_base"],
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        return await self.browser.get(f"{urlsplit(smart['authorization_endpoint']).path}?{urlencode(request)}")

    async def signed_in(self, page: Page, user: Json) -> Page:
        """With both factors, where the page asks for them."""
        if page.heading != "Sign in":
            return page
        page = await self.browser.submit(page, "/sign-in", username=user["username"], password=user["password"])
        return await self.browser.submit(page, "/second-factor", code=pyotp.TOTP(user["totp_secret"]).now())

    async def tokens(self, kind: str, user: Json, scope: str = SCOPE) -> Json:
        client, pkce = self.client(kind), Pkce()
        page = await self.signed_in(await self.asked(client, pkce, scope), user)
        if page.heading == "Which patient?":
            page = await self.browser.submit(page, "/patient", name="lefevre")
            page = await self.browser.submit(page, "/patient", patient="demo-p1")
        if self.browser.left_for is None:
            await self.browser.submit(page, "/consent", button="allow")
        came = self.came_back(client)
        assert (came["state"], came["iss"]) == ("a state", self.told["issuer"])
        answer = await self.token(
            client,
            grant_type="authorization_code",
            code=came["code"],
            redirect_uri=client["redirect_uris"][0],
            code_verifier=pkce.verifier,
        )
        assert answer.status_code == 200, answer.text
        found: Json = read(answer)
        return found

    def came_back(self, client: Json) -> Mapping[str, str]:
        assert self.browser.left_for is not None
        assert self.browser.left_for.startswith(f"{client['redirect_uris'][0]}?")
        return dict(parse_qsl(urlsplit(self.browser.left_for).query))

    async def get(self, path: str, token: str) -> Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    folder: Path = tmp_path_factory.mktemp("demo")
    with started("demo", folder) as server:
        told = json.decode((folder / "demo.json").read_bytes())
        async with AsyncClient(base_url=told["base_url"], timeout=60) as http:
            yield Demo(server, told, http, Browser(http, told["base_url"]))


async def test_apps_of_each_kind_come_from_the_request_to_the_record(demo: Demo) -> None:
    user = demo.user("practitioner")
    for kind in ("public", "confidential-symmetric", "confidential-asymmetric"):
        told = await demo.tokens(kind, user)

        assert told["patient"] == "demo-p1"
        assert told["id_token"]
        assert (await demo.get("/fhir/Patient/demo-p1", told["access_token"])).status_code == 200
        again = read(
            await demo.token(demo.client(kind), grant_type="refresh_token", refresh_token=told["refresh_token"])
        )
        assert (await demo.get("/fhir/Patient/demo-p1", again["access_token"])).status_code == 200


async def test_a_service_of_the_demo_gets_its_token(demo: Demo) -> None:
    client = demo.client("backend")

    answer = await demo.token(client, grant_type="client_credentials", scope=client["scope"])

    assert answer.status_code == 200, answer.text
    assert read(answer)["scope"] == client["scope"]
    assert (await demo.get("/fhir/Patient/demo-p1", read(answer)["access_token"])).status_code == 200


async def test_r_smart_022_who_says_no_is_told_to_the_app(demo: Demo) -> None:
    client = demo.client("public")
    page = await demo.signed_in(await demo.asked(client, Pkce(), SCOPE), demo.user("practitioner"))

    await demo.browser.submit(page, "/cancel")

    came = demo.came_back(client)
    assert came["error"] == "access_denied"
    assert "code" not in came


async def test_t76_signing_out_ends_what_is_online_at_once(demo: Demo) -> None:
    user = demo.user("practitioner")
    online = await demo.tokens("public", user, "launch/patient patient/*.rs online_access")
    offline = await demo.tokens("public", user, SCOPE)
    account = await demo.browser.get("/auth/account")

    await demo.browser.submit(account, "/sign-out")

    assert (await demo.get("/fhir/Patient/demo-p1", online["access_token"])).status_code == 401
    refresh: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": online["refresh_token"]}
    assert (await demo.token(demo.client("public"), **refresh)).status_code == 400
    assert (await demo.get("/fhir/Patient/demo-p1", offline["access_token"])).status_code == 200
