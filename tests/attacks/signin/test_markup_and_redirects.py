"""Script through names, redirects through parameters, frames around pages: none of it gets anywhere."""

from dataclasses import replace

import pytest

from fhir_server.engine.call import Call, Interaction
from fhir_server.smart.signin.users import Passkey
from tests.attacks.signin.clinics import Servers
from tests.browsing import Browser, Page
from tests.unit.engine.calls import SYSTEM

pytestmark = pytest.mark.anyio

SCRIPT = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{31337*31337}}{0}"
ELSEWHERE = (
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "r1\r\nLocation: https://evil.example",
    "r1%0d%0aSet-Cookie:%20session=x",
    "../../fhir/Patient",
    "r1&request=r2",
    "\ud800",
)


def harmless(page: Page) -> None:
    assert "<script>" not in page.html
    assert "<img" not in page.html
    assert "982007569" not in page.text
    assert {tag for tag, _ in page.tags} & {"img", "iframe", "object"} == set()
    assert all(not name.startswith("on") for _, named in page.tags for name in named)


async def test_a_clients_name_and_scopes_are_text(at: Servers, browser: Browser) -> None:
    at.authorizations.ask(
        "xss", client_name=SCRIPT, login_hint=SCRIPT, scopes=("openid", SCRIPT, f"user/Patient.rs?name={SCRIPT}")
    )
    first = await browser.get("/auth/sign-in?request=xss")
    harmless(first)
    assert SCRIPT in first.text

    page = await at.sign_in(browser, await at.person(), "xss")

    harmless(page)
    assert page.heading == "Allow access?"
    assert SCRIPT in page.text
    await browser.submit(page, "/consent")
    assert at.authorizations.approved["xss"].scopes[1] == SCRIPT


async def test_a_users_name_browser_and_passkey_are_text(at: Servers, browser: Browser) -> None:
    user = await at.person(name=SCRIPT)
    key = Passkey(b"k", b"", 0, SCRIPT, at.clock.now(), synced=False)
    await at.door.users.replace(replace(user, passkeys=(key,)))
    browser.http.headers["user-agent"] = SCRIPT

    page = await at.sign_in(browser, user)

    harmless(page)
    assert page.text.count(SCRIPT) >= 3


async def test_what_was_typed_comes_back_as_text(at: Servers, browser: Browser) -> None:
    page = await browser.get("/auth/sign-in")

    page = await browser.submit(page, "/sign-in", username=SCRIPT, password="x")

    harmless(page)
    assert ("username", SCRIPT) in page.form("/sign-in").fields


async def test_a_patients_name_is_text(at: Servers, browser: Browser) -> None:
    engine = at.apps[0].state.clinic.engine
    patient = {"resourceType": "Patient", "id": "xss", "name": [{"family": "Scripted", "text": SCRIPT}]}
    await engine.update(Call(Interaction.UPDATE, SYSTEM, at.clock.now(), "Patient", "xss"), patient)
    at.authorizations.ask("pick", needs_patient=True)
    page = await at.sign_in(browser, await at.person(), "pick")

    page = await browser.submit(page, "/patient", name="scripted")

    harmless(page)
    assert SCRIPT[:40] in page.text


@pytest.mark.parametrize("value", ELSEWHERE)
@pytest.mark.parametrize("parameter", ["request", "lang", "next", "redirect_uri", "return_to"])
async def test_no_parameter_leads_anywhere_else(at: Servers, browser: Browser, parameter: str, value: str) -> None:
    await at.sign_in(browser, await at.person())
    for name in ("sign-in", "consent", "role", "patient", "account", "again", "enrol"):
        answer = await browser.http.get(f"/auth/{name}", params={parameter: value.encode("utf-8", "replace")})
        assert "evil" not in answer.headers.get("location", "")
        assert answer.headers.get("location", "/auth/").startswith("/auth/")
        assert "set-cookie" not in answer.headers or "session=x" not in answer.headers["set-cookie"]
        assert answer.status_code in {200, 303, 400}


async def test_the_only_way_out_is_the_address_that_the_server_gave(at: Servers, browser: Browser) -> None:
    at.authorizations.ask("out")
    page = await at.sign_in(browser, await at.person(), "out")
    form = page.form("/consent")

    answer = await browser.post(
        form.action, [*form.fields, ("redirect_uri", "https://evil.example"), ("address", "https://evil.example")]
    )

    assert answer.headers["location"] == "https://app.example/callback?code=c-out"


async def test_pages_are_never_framed_and_have_one_policy(at: Servers, browser: Browser) -> None:
    """Clickjacking: a consent page under somebody else's buttons."""
    at.authorizations.ask("framed")
    pages = [await browser.get("/auth/sign-in?request=framed"), await at.sign_in(browser, await at.person(), "framed")]
    refused = await browser.http.post("/auth/consent", content=b"")

    for headers in (*(page.headers for page in pages), refused.headers):
        [policy] = headers.get_list("content-security-policy")
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert headers.get_list("x-frame-options") == ["DENY"]
        assert headers.get_list("referrer-policy") == ["same-origin"]
        assert headers.get_list("cache-control") == ["no-store"]
        assert headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("body", "type", "status"),
    [
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"", "", 415),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        ("é=1".encode(), "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(2_000)), "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_body_that_is_no_form_is_refused(
    at: Servers, browser: Browser, body: bytes, type: str, status: int
) -> None:
    answer = await browser.http.post("/auth/sign-in", content=body, headers={"Content-Type": type} if type else {})

    assert answer.status_code == status
    assert "Traceback" not in answer.text


async def test_other_methods_are_not_served(at: Servers, browser: Browser) -> None:
    assert (await browser.http.put("/auth/sign-in", content=b"")).status_code == 405
    assert (await browser.http.get("/auth/sign-out")).status_code == 405
    assert (await browser.http.head("/auth/sign-in")).status_code == 200
