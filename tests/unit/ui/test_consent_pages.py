"""The two pages of consent: to sign, and to take back; signed in, or by the link of a copy."""

import base64
from collections.abc import AsyncIterator

import pytest

from fhir_server.consent.signing import WITHDRAW_LINK
from fhir_server.kernel.json import Json
from tests.browsing import Browser, Page
from tests.fakes.entrance import Entrance, entrance

pytestmark = pytest.mark.anyio

CARE = {"treatment": "yes", "care-photography": "no", "understood": "yes"}


@pytest.fixture
def at() -> Entrance:
    return entrance()


@pytest.fixture
async def browser(at: Entrance) -> AsyncIterator[Browser]:
    async with at.browser() as one:
        yield one


@pytest.fixture
async def ana(at: Entrance, browser: Browser) -> Page:
    """A patient who is signed in."""
    await at.store({"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17"})
    user = await at.door.person("ana", "patient", fhir_user="Patient/p1")
    return await at.sign_in(browser, user)


def stored(at: Entrance, type: str) -> list[Json]:
    return [one.resource for key, one in at.engine.clinic.memory.current.items() if key.type == type]


def kinds(at: Entrance) -> dict[str, tuple[str, str]]:
    return {
        one["provision"]["purpose"][0]["code"]: (one["provision"]["type"], one["status"])
        for one in stored(at, "Consent")
    }


@pytest.mark.usefixtures("ana")
async def test_s38_nothing_is_ticked_before(browser: Browser) -> None:
    for form in ("care", "photo-followup", "marketing", "communications"):
        page = await browser.get(f"/auth/sign?form={form}")
        assert not [named for tag, named in page.tags if tag == "input" and "checked" in named]


@pytest.mark.usefixtures("ana")
async def test_a_patient_signs_and_takes_back_in_as_many_steps(at: Entrance, browser: Browser) -> None:
    """S43: one page and one button each."""
    page = await browser.get("/auth/sign?form=care")
    done = await browser.submit(page, "/sign", name="Ana Lefèvre", **CARE)
    assert done.heading == "Signed"
    assert kinds(at) == {"TREAT": ("permit", "active"), "care-photography": ("deny", "active")}
    [provenance] = stored(at, "Provenance")
    assert base64.b64decode(provenance["signature"][0]["data"]).decode() == "Ana Lefèvre"

    page = await browser.get("/auth/withdraw")
    assert "Treatment" in page.text
    assert "Photographs as part of care" not in page.text
    page = await browser.submit(page, "/withdraw")

    assert "taken back" in page.text
    assert kinds(at)["TREAT"] == ("permit", "inactive")
    [ended] = [one for one in stored(at, "Consent") if one["status"] == "inactive"]
    assert "patient" in [one.get("valueCode") for one in ended["extension"]]


@pytest.mark.usefixtures("ana")
async def test_what_hangs_on_a_yes_counts_only_with_it(at: Entrance, browser: Browser) -> None:
    page = await browser.get("/auth/sign?form=marketing")
    yes = {
        "photo-marketing": "yes",
        "photo-marketing.channel": "website",
        "photo-marketing.use": "portrait",
        "photo-marketing.anonymisation": "face-masked",
        "photo-marketing.months": "6",
    }
    no = {"photo-social": "no", "photo-social.channel": "tiktok", "understood": "yes"}

    assert (
        await browser.submit(page, "/sign", name="Ana", **{**yes, **no, "photo-marketing.months": "x"})
    ).status == 422
    done = await browser.submit(page, "/sign", name="Ana", **yes, **no)

    assert done.heading == "Signed"
    assert kinds(at) == {"photo-marketing": ("permit", "active"), "photo-social": ("deny", "active")}


async def link_of(at: Entrance, browser: Browser) -> str:
    page = await browser.get("/auth/sign?form=care")
    await browser.submit(page, "/sign", name="Ana", **CARE)
    [paper] = stored(at, "DocumentReference")
    html = base64.b64decode(paper["content"][0]["attachment"]["data"]).decode()
    return html.partition('href="http://localhost:8000')[2].partition('"')[0]


@pytest.mark.usefixtures("ana")
async def test_the_link_of_a_copy_withdraws_without_an_account_and_does_nothing_else(
    at: Entrance, browser: Browser
) -> None:
    link = await link_of(at, browser)
    async with at.browser("198.51.100.9") as stranger:
        page = await stranger.get(link)
        assert "Lefèvre" not in page.text
        assert (await stranger.get("/auth/sign?form=care")).heading == "Sign in"
        french = await stranger.get(f"{link}&lang=fr")
        assert french.heading == "Retirer un consentement"
        done = await stranger.submit(french, "/withdraw")

        assert done.status == 200
        assert kinds(at)["TREAT"] == ("permit", "inactive")
        [ended] = [one for one in stored(at, "Consent") if one["status"] == "inactive"]
        assert "link" in [one.get("valueCode") for one in ended["extension"]]
        assert "nothing in force" in (await stranger.get(f"{link}&lang=en")).text


@pytest.mark.usefixtures("ana")
async def test_a_link_that_was_changed_or_revoked_opens_nothing(at: Entrance, browser: Browser) -> None:
    link = await link_of(at, browser)
    [paper] = stored(at, "DocumentReference")
    id = paper["id"]
    async with at.browser("198.51.100.9") as stranger:
        for wrong in (
            link[:-1],
            f"{link}x",
            f"/auth/withdraw?link={id}.",
            "/auth/withdraw?link=nobody.x",
            "/auth/withdraw?link=a/b.c",
        ):
            assert (await stranger.get(wrong)).status == 404
        assert (await stranger.get(link)).status == 200

        kept = [one for one in paper["extension"] if one["url"] != WITHDRAW_LINK]
        revoked = {**paper, "extension": kept} if kept else {k: v for k, v in paper.items() if k != "extension"}
        await at.store({k: v for k, v in revoked.items() if k != "meta"})

        assert (await stranger.get(link)).status == 404


async def test_nobody_signs_or_withdraws_for_somebody_else(at: Entrance, browser: Browser) -> None:
    nurse = await at.door.person("nurse", "nurse", fhir_user="Practitioner/1")
    assert (await browser.get("/auth/withdraw")).heading == "Sign in"
    await at.sign_in(browser, nurse)
    for page in ("sign?form=care", "withdraw"):
        assert (await browser.get(f"/auth/{page}")).heading != "Take back a consent"


@pytest.mark.usefixtures("ana")
async def test_a_form_that_is_not_there_is_told_so(browser: Browser) -> None:
    page = await browser.get("/auth/sign?form=care")
    [token] = [value for name, value in page.form("/sign").fields if name == "form_token"]

    assert (await browser.get("/auth/sign?form=nothing")).status == 404
    assert (await browser.post("/auth/sign", [("form_token", token)])).status == 404
    assert (await browser.get("/auth/notice?form=care&version=2020-01")).status == 404


async def test_t105_the_text_that_a_consent_names_can_be_read_by_everybody(browser: Browser) -> None:
    now = await browser.get("/auth/notice?form=care&version=2026-11&lang=fr")
    before = await browser.get("/auth/notice?form=care&version=2026-01&lang=fr")

    assert (now.status, before.status) == (200, 200)
    assert "dossier médical" in now.text
    assert "Conservation des photographies" in now.text
    assert "Conservation des photographies" not in before.text, "what was signed then is what is shown"


async def test_where_nothing_is_shared_no_link_opens_anything(browser: Browser) -> None:
    assert (await browser.get("/auth/shared?link=one.two")).status == 404
