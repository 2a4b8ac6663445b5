"""Cross-site request forgery: a form that another site's page, or another browser's form, sends in somebody's name."""

import pytest

from tests.attacks.signin.clinics import PASSWORD, Servers
from tests.browsing import Browser, Fields, Page

pytestmark = pytest.mark.anyio

FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://clinic.example.evil.example"},
    {"Origin": "http://clinic.example"},
    {"Origin": "https://clinic.example:8443"},
    {"Origin": ""},
)
PAGES = (
    "sign-in",
    "second-factor",
    "recovery",
    "new-password",
    "enrol",
    "role",
    "patient",
    "consent",
    "cancel",
    "account",
    "sign-out",
)


def without_token(fields: Fields) -> Fields:
    return [one for one in fields if one[0] != "form_token"]


async def consent_page(at: Servers, browser: Browser, request: str) -> Page:
    at.authorizations.ask(request)
    page = await at.sign_in(browser, await at.person(), request)
    assert page.heading == "Allow access?"
    return page


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_consent_from_another_site_is_not_given(at: Servers, browser: Browser, headers: dict[str, str]) -> None:
    form = (await consent_page(at, browser, "forged")).form("/consent")

    answer = await browser.post(form.action, form.fields, **headers)

    assert answer.status == 403
    assert "forged" not in at.authorizations.approved


async def test_a_browser_that_says_cross_site_is_believed(at: Servers, browser: Browser) -> None:
    form = (await consent_page(at, browser, "cross")).form("/consent")
    raw = await browser.http.post(
        form.action,
        data=dict(form.fields),
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert raw.status_code == 403
    assert "cross" not in at.authorizations.approved


async def test_a_browser_that_says_nothing_is_held_to_the_token(at: Servers, browser: Browser) -> None:
    form = (await consent_page(at, browser, "silent")).form("/consent")

    without = await browser.http.post(form.action, data=dict(without_token(form.fields)))
    assert without.status_code == 403
    given = await browser.http.post(form.action, data=dict(form.fields))

    assert given.status_code == 303
    assert "silent" in at.authorizations.approved


@pytest.mark.parametrize("page", PAGES)
async def test_no_form_is_taken_without_its_token(at: Servers, browser: Browser, page: str) -> None:
    shown = await consent_page(at, browser, f"bare-{page}")
    fields = without_token(shown.form("/consent").fields)

    for token in ("", "x", shown.form("/consent").fields[0][1][:-1], "é"):
        answer = await browser.post(f"/auth/{page}", [*fields, ("form_token", token)])
        assert answer.status == 403, page

    assert f"bare-{page}" not in {*at.authorizations.approved, *at.authorizations.denied}
    assert (await browser.get("/auth/account")).heading == "Your sign-in"


async def test_a_token_of_the_attackers_own_browser_is_worth_nothing(at: Servers, browser: Browser) -> None:
    shown = await consent_page(at, browser, "lent")
    async with at.browser(1) as mallorys:
        own = (await mallorys.get("/auth/sign-in")).form("/sign-in").fields[0]
    async with at.browser(1) as mallorys:
        await at.sign_in(mallorys, await at.person())
        signed = (await mallorys.get("/auth/account")).form("/account").fields[0]

    for token in (own, signed):
        answer = await browser.post("/auth/consent", [*without_token(shown.form("/consent").fields), token])
        assert answer.status == 403
    assert "lent" not in at.authorizations.approved


async def test_nobody_is_signed_in_as_the_attacker_behind_their_back(at: Servers, browser: Browser) -> None:
    """Login CSRF: the victim's photographs would go into the attacker's account."""
    mallory = await at.person()
    async with at.browser() as mallorys:
        token = (await mallorys.get("/auth/sign-in")).form("/sign-in").fields[0]
    await browser.get("/auth/sign-in")

    answer = await browser.post(
        "/auth/sign-in", [token, ("username", mallory.username), ("password", PASSWORD)], Origin="https://evil.example"
    )
    again = await browser.post("/auth/sign-in", [token, ("username", mallory.username), ("password", PASSWORD)])

    assert (answer.status, again.status) == (403, 403)
    assert "begun" not in browser.http.cookies


async def test_a_get_changes_nothing(at: Servers, browser: Browser) -> None:
    page = await consent_page(at, browser, "got")
    fields = page.form("/consent").fields

    for name in ("consent", "cancel", "sign-out", "account"):
        query = "&".join(f"{key}={value}" for key, value in [*fields, ("action", "forget-browsers")])
        await browser.get(f"/auth/{name}?{query}")

    assert "got" not in {*at.authorizations.approved, *at.authorizations.denied}
    assert (await browser.get("/auth/account")).heading == "Your sign-in"
