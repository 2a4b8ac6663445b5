"""A secret that an attacker planted, saw or guessed must be worth nothing once somebody signed in."""

import hashlib

import pytest

from tests.attacks.signin.clinics import PASSWORD, Servers, servers
from tests.browsing import Browser

pytestmark = pytest.mark.anyio

NAMES = ("__Host-visit", "__Host-begun", "__Host-session")


async def stages(at: Servers, browser: Browser) -> list[dict[str, str]]:
    """The cookies before anything, after the password, after the second factor."""
    user = await at.person()
    page = await browser.get("/auth/sign-in")
    found = [dict(browser.http.cookies)]
    page = await browser.submit(page, "/sign-in", username=user.username, password=PASSWORD)
    found.append(dict(browser.http.cookies))
    await browser.submit(page, "/second-factor", code=at.code(user))
    found.append(dict(browser.http.cookies))
    return found


async def test_each_stage_has_a_secret_of_its_own(at: Servers, browser: Browser) -> None:
    before, half, full = await stages(at, browser)

    assert "__Host-session" not in before
    assert "__Host-session" not in half
    assert "__Host-begun" not in full
    assert "__Host-visit" not in full
    secrets = {before["__Host-visit"], half["__Host-begun"], full["__Host-session"]}
    assert len(secrets) == 3
    assert all(len(secret) == 43 for secret in secrets)


async def test_what_was_seen_before_opens_nothing_after(at: Servers, browser: Browser) -> None:
    before, half, _ = await stages(at, browser)

    for seen in (before, half):
        async with at.browser(1) as mallorys:
            for name, value in seen.items():
                for place in NAMES:
                    mallorys.http.cookies.set(place if name in NAMES else name, value)
            assert (await mallorys.get("/auth/account")).heading == "Sign in"
            assert (await mallorys.get("/auth/second-factor")).heading == "Sign in"


async def test_a_planted_secret_is_never_taken_over(at: Servers, browser: Browser) -> None:
    planted = "A" * 43
    for name in NAMES:
        browser.http.cookies.set(name, planted, domain="clinic.example", path="/")

    _, half, full = await stages(at, browser)

    assert planted not in {half["__Host-begun"], full["__Host-session"]}
    async with at.browser(1) as mallorys:
        for name in NAMES:
            mallorys.http.cookies.set(name, planted)
        assert (await mallorys.get("/auth/account")).heading == "Sign in"


async def test_after_signing_out_the_old_secret_opens_nothing(at: Servers, browser: Browser) -> None:
    _, _, full = await stages(at, browser)
    page = await browser.get("/auth/account")

    await browser.submit(page, "/sign-out")

    async with at.browser(1) as mallorys:
        mallorys.http.cookies.set("__Host-session", full["__Host-session"])
        assert (await mallorys.get("/auth/account")).heading == "Sign in"


async def test_cookies_are_for_this_host_over_tls_and_no_script(at: Servers, browser: Browser) -> None:
    user = await at.person()
    page = await browser.get("/auth/sign-in?lang=fr")
    given = page.headers.get_list("set-cookie")
    page = await browser.submit(page, "/sign-in", username=user.username, password=PASSWORD)
    form = page.form("/second-factor")
    raw = await browser.http.post(
        form.action,
        data={**dict(form.fields), "code": at.code(user)},
        headers={"Origin": at.origin},
    )
    given += raw.headers.get_list("set-cookie")

    assert {one.partition("=")[0] for one in given} >= {*NAMES, "__Host-device", "__Host-language"}
    for one in given:
        attributes = {part.strip().casefold() for part in one.split(";")[1:]}
        assert {"path=/", "secure", "httponly", "samesite=lax"} <= attributes
        assert not [part for part in attributes if part.startswith("domain")]


async def test_a_row_with_another_hash_in_it_opens_for_nobody(at: Servers, browser: Browser) -> None:
    """Somebody who writes to the database puts the hash of their own secret into a row."""
    user = await at.person()
    await at.sign_in(browser, user)
    rows = at.mongo[at.database]["sign_ins"]
    mine = "B" * 43
    await rows.update_one({"owner": user.id}, {"$set": {"secret": hashlib.sha256(mine.encode()).digest()}})

    async with at.browser() as mallorys:
        mallorys.http.cookies.set("__Host-session", mine)
        assert (await mallorys.get("/auth/account")).status == 503


async def test_a_user_under_anothers_id_or_name_does_not_open(at: Servers) -> None:
    ana, mallory = await at.person(), await at.person("administrator")
    rows = at.mongo[at.database]["users"]
    row = await rows.find_one({"_id": mallory.id})
    assert row is not None
    anas = await rows.find_one({"_id": ana.id})
    assert anas is not None

    await rows.update_one({"_id": ana.id}, {"$set": {"sealed": row["sealed"], "revision": row["revision"]}})
    with pytest.raises(Exception, match="does not open"):
        await at.door.users.get(ana.id)
    await rows.delete_one({"_id": ana.id})
    await rows.update_one({"_id": mallory.id}, {"$set": {"token": anas["token"]}})
    with pytest.raises(Exception, match="does not open"):
        await at.door.users.named(ana.username)


async def test_without_tls_on_loopback_the_cookies_have_plain_names(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    async with servers(mongo_uri, "test_plain_door", folder, "http://127.0.0.1:8000") as at, at.browser() as browser:
        await browser.get("/auth/sign-in")

        assert set(browser.http.cookies) == {"visit"}
