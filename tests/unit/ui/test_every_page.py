"""What holds for every page: words in both languages, labels, headings, headers, and nothing inline."""

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

import fhir_server.ui
from fhir_server.smart.signin.administration import Told
from fhir_server.smart.signin.choices import CATEGORIES
from fhir_server.smart.signin.password_rules import Refusal
from fhir_server.smart.signin.users import ROLES
from fhir_server.ui.language import LANGUAGES, Words, chosen, texts
from tests.browsing import Page
from tests.fakes.door import HOME, PASSWORD
from tests.fakes.entrance import Entrance, entrance

HERE = Path(fhir_server.ui.__file__).parent
PLACEHOLDER = re.compile(r"\{(\w+)\}")
KEY = re.compile(r"""\bt\(\s*["']([a-z-]+)["']""")


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    english, french = texts("en"), texts("fr")

    assert english.keys() == french.keys()
    gaps = [{key: set(PLACEHOLDER.findall(text)) for key, text in spoken.items()} for spoken in (english, french)]
    assert gaps[0] == gaps[1]
    assert not [key for key in english if "<" in english[key] + french[key]]


def test_every_word_that_a_page_wants_is_there() -> None:
    wanted = {key for page in HERE.glob("templates/*.html") for key in KEY.findall(page.read_text())} - {
        "notice-",
        "role-",
    }
    codes = {*Refusal, *(f"notice-{told}" for told in Told), *(f"role-{role}" for role in ROLES)}
    categories = {f"category-{one.rpartition('|')[2]}" for each in CATEGORIES.values() for one in each}

    assert not (wanted | codes | categories) - texts("en").keys()


def test_no_word_is_there_for_nothing() -> None:
    readers = (*HERE.rglob("*.html"), *HERE.rglob("*.py"), *HERE.parent.glob("smart/signin/*.py"))
    used = "".join(path.read_text() for path in readers)
    made = (
        *("role-", "scope-", "type-", "category-", "letter-", "notice-", "password-", "read-", "write-"),
        *("purpose-", "channel-"),
    )

    assert not [key for key in texts("en") if key not in used and not key.startswith(made)]


@pytest.mark.parametrize(
    ("explicit", "locales", "accepted", "language"),
    [
        (None, (), "", "en"),
        (None, (), "fr", "fr"),
        (None, (), "de, fr-CH;q=0.9, en;q=0.8", "fr"),
        (None, (), "en;q=0.3, fr;q=0.4", "fr"),
        (None, (), "fr;q=0, en", "en"),
        (None, (), "fr;q=x, *", "en"),
        (None, ("fr-CA", "en"), "en", "fr"),
        (None, ("de",), "fr", "fr"),
        ("fr", ("en",), "en", "fr"),
        ("xx", (), "fr", "fr"),
        ("../fr", (), "", "en"),
        (None, (), ",".join(["de"] * 10_000) + ",fr", "en"),
    ],
)
def test_the_language_is_what_the_person_wants(
    explicit: str | None, locales: Sequence[str], accepted: str, language: str
) -> None:
    assert chosen(explicit, locales, accepted) == language


def test_what_is_put_into_words_is_escaped() -> None:
    said = Words("en")("sign-in-for", client="<script>alert(1)</script>{password}")

    assert "<script>" not in said
    assert "{password}" in said


def test_a_wait_is_told_in_seconds_or_minutes() -> None:
    assert [Words("en").wait(seconds) for seconds in (1, 119, 120, 121)] == [
        "1 seconds",
        "119 seconds",
        "2 minutes",
        "3 minutes",
    ]


@pytest.fixture(scope="module")
async def pages() -> list[Page]:
    """Every page there is, in both languages, with and without a fault."""
    found: list[Page] = []
    for language in LANGUAGES:
        async for page in seen(entrance(), language):
            found.append(page)  # noqa: PERF401  the other way cannot await here
    return found


async def seen(at: Entrance, language: str) -> AsyncIterator[Page]:
    await at.store({"resourceType": "Patient", "id": "p1", "name": [{"family": "Lefèvre"}], "birthDate": "1980-05-17"})
    both = await at.door.person("both", "nurse", "administrator")
    await at.door.person("new", "patient", totp=False, fhir_user="Patient/p1")
    at.authorizations.ask(
        needs_patient=True,
        scopes=("openid", "strange", "patient/*.rs", "user/Observation.cruds", "user/Media.read", "offline_access"),
    )
    async with at.browser() as browser:
        sign_in = await browser.get(f"/auth/sign-in?request=r1&lang={language}")
        yield sign_in
        yield await browser.submit(sign_in, "/sign-in", username="both", password="wrong")
        second = await browser.submit(sign_in, "/sign-in", username="both", password=PASSWORD)
        yield second
        yield await browser.submit(second, "/second-factor", code="1")
        recovery = await browser.get("/auth/recovery?request=r1")
        yield recovery
        yield await browser.submit(recovery, "/recovery", code="1")
        role = await browser.submit(second, "/second-factor", code=at.door.code(both))
        yield role
        yield await browser.submit(role, "/role")
        patient = await browser.submit(role, "/role", role="nurse")
        yield patient
        yield await browser.submit(patient, "/patient")
        yield await browser.submit(patient, "/patient", name="nobody")
        listed = await browser.submit(patient, "/patient", name="lef")
        yield listed
        consent = await browser.submit(listed, "/patient", patient="p1")
        yield consent
        yield await browser.submit(consent, "/consent", read=[], write=[], plain=[])
        await at.door.open.enrolment.recovery_codes(both, HOME)
        await at.door.alter(both, notices=both.noticing("factor-reset", at.door.clock.now()).notices)
        account = await browser.get("/auth/account")
        yield account
        yield await browser.get("/auth/new-password")
        yield await browser.get("/auth/enrol")
        yield await browser.get("/auth/again")
        form = next(form for form in account.forms if ("action", "new-codes") in form.fields)
        yield await browser.post("/auth/account", form.fields)
        yield await browser.get("/auth/sign-in?request=unknown")
        yield await browser.submit(account, "/sign-out")
        fresh = await browser.get("/auth/sign-in")
        yield await browser.submit(fresh, "/sign-in", username="new", password=PASSWORD)
    async for page in of_consents(at, language):
        yield page


async def of_consents(at: Entrance, language: str) -> AsyncIterator[Page]:
    ana = await at.door.person("ana", "patient", fhir_user="Patient/p1")
    async with at.browser() as browser:
        yield await browser.get(f"/auth/notice?form=marketing&lang={language}")
        yield await browser.get("/auth/notice?form=nothing")
        yield await browser.get("/auth/withdraw?link=wrong")
        await at.sign_in(browser, ana)
        yield await browser.get("/auth/sign")
        for form in ("marketing", "communications"):
            yield await browser.get(f"/auth/sign?form={form}")
        care = await browser.get("/auth/sign?form=care")
        yield care
        yield await browser.submit(care, "/sign", name=" ")
        yield await browser.submit(care, "/sign", name="Ana")
        answers = {"treatment": "yes", "care-photography": "yes", "understood": "yes"}
        yield await browser.submit(care, "/sign", name="Ana", **answers)
        given = await browser.get("/auth/withdraw")
        yield given
        yield await browser.submit(given, "/withdraw", consent="nothing")
        yield await browser.submit(given, "/withdraw")


@pytest.mark.anyio
async def test_every_template_was_looked_at(pages: list[Page]) -> None:
    assert len({page.heading for page in pages}) >= 2 * 12
    assert {dict(page.tags)["html"]["lang"] for page in pages} == {"en", "fr"}


@pytest.mark.anyio
async def test_wcag_every_field_has_a_label_and_every_button_a_name(pages: list[Page]) -> None:
    for page in pages:
        labelled = {named.get("for") for tag, named in page.tags if tag == "label"}
        fields = [named for tag, named in page.tags if tag == "input" and named.get("type") != "hidden"]
        assert not [named for named in fields if named.get("id") not in labelled], page.address
        assert page.html.count("<button") == len(re.findall(r"<button[^>]*>\s*(?:<[^>]+>)*\s*[^<\s]", page.html))


@pytest.mark.anyio
async def test_wcag_one_heading_landmarks_and_unique_ids(pages: list[Page]) -> None:
    for page in pages:
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == tags.count("main") == tags.count("header") == tags.count("footer") == 1
        levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
        faulty = page.status == 422
        assert levels[1 if faulty else 0] == 1
        assert max(levels) <= 2
        ids = [named["id"] for _, named in page.tags if "id" in named]
        assert len(ids) == len(set(ids)), page.address
        assert ("a", {"class": "skip", "href": "#main"}) in page.tags
        assert page.text_of("title")[0]


@pytest.mark.anyio
async def test_wcag_a_fault_is_told_first_and_leads_to_its_field(pages: list[Page]) -> None:
    faulty = [page for page in pages if page.status == 422]

    assert len(faulty) >= 12
    for page in faulty:
        [summary] = [named for _, named in page.tags if named.get("class") == "summary"]
        assert summary["role"] == "alert"
        assert page.text_of("title")[0].startswith(("Error:", "Erreur"))
        for target in re.findall(r'class="summary".*?href="#([\w-]+)"', page.html, re.DOTALL):
            assert target in page.ids


@pytest.mark.anyio
async def test_every_reference_inside_a_page_leads_somewhere(pages: list[Page]) -> None:
    for page in pages:
        for _, named in page.tags:
            for name in ("aria-describedby", "aria-labelledby", "for"):
                assert set((named.get(name) or "").split()) <= page.ids, (page.address, named)


@pytest.mark.anyio
async def test_nothing_is_inline_and_nothing_comes_from_elsewhere(pages: list[Page]) -> None:
    for page in pages:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page.html)
        scripts = [named for tag, named in page.tags if tag == "script"]
        assert [named.get("src") for named in scripts] in ([], ["/auth/static/passkey.js"])
        sources = [named.get(name) for _, named in page.tags for name in ("src", "href", "action", "formaction")]
        assert not [one for one in sources if one and not one.startswith(("/auth/", "#"))]


@pytest.mark.anyio
async def test_t62_headers_hold_every_page_together(pages: list[Page]) -> None:
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"


@pytest.mark.anyio
async def test_forms_go_to_us_alone_unless_a_client_waits(pages: list[Page]) -> None:
    for page in pages:
        waits = "request=r1" in page.address or ("request", "r1") in [f for form in page.forms for f in form.fields]
        assert ("form-action 'self'" in page.headers["content-security-policy"]) is not waits, page.address


@pytest.mark.anyio
async def test_t60_no_name_stands_in_an_address(pages: list[Page]) -> None:
    for page in pages:
        assert not re.search(r"lef|both|1980|p1\b", page.address), page.address


@pytest.mark.anyio
async def test_a_chosen_language_stays() -> None:
    at = entrance()
    async with at.browser() as browser:
        await browser.get("/auth/sign-in?lang=fr")

        assert (await browser.get("/auth/sign-in", Accept_Language="en")).heading == "Connexion"
        assert (await browser.get("/auth/sign-in?lang=xx")).heading == "Connexion"


@pytest.mark.anyio
async def test_the_client_chooses_the_language_where_the_person_did_not() -> None:
    at = entrance()
    at.authorizations.ask(ui_locales=("fr-FR", "en"))
    async with at.browser() as browser:
        assert (await browser.get("/auth/sign-in?request=r1")).heading == "Connexion"


@pytest.mark.anyio
async def test_behind_a_path_every_address_begins_with_it() -> None:
    at = entrance("https://clinic.example/fhir-server")
    async with at.browser() as browser:
        page = await browser.get("/auth/sign-in")

    actions = [form.action for form in page.forms]
    assert actions
    assert all(action.startswith("/fhir-server/auth/") for action in actions)
    assert 'href="/fhir-server/auth/static/style.css"' in page.html


@pytest.mark.anyio
async def test_the_script_and_the_stylesheet_are_served_and_nothing_beside_them() -> None:
    at = entrance()
    async with at.browser() as browser:
        style = await browser.http.get("/auth/static/style.css")
        script = await browser.http.get("/auth/static/passkey.js")
        other = await browser.http.get("/auth/static/../pages.py")

    assert style.headers["content-type"].startswith("text/css")
    assert script.headers["content-type"].startswith("text/javascript")
    assert other.status_code == 404


def test_wcag_colours_differ_enough() -> None:
    """Every colour of the text on every ground it stands on: 4.5 to 1 at least."""
    css = (HERE / "static/style.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", css))

    for ink, paper in (
        ("ink", "paper"),
        ("quiet", "paper"),
        ("action", "paper"),
        ("fault", "paper"),
        ("ink", "soft"),
        ("quiet", "soft"),
        ("action", "soft"),
        ("paper", "action"),
    ):
        assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    assert contrast(colours["line"], colours["paper"]) >= 3, "the edge of a field"


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
