"""One's own page: what it shows, what its buttons do, and what asks for a proof again."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pyotp
import pytest

from fhir_server.smart.signin.sessions import Ended
from fhir_server.smart.signin.users import Passkey, State
from tests.browsing import Browser, Page
from tests.fakes.door import HOME, PASSWORD
from tests.fakes.entrance import Entrance, entrance

pytestmark = pytest.mark.anyio

NEW = "seventeen blue herons"


@pytest.fixture
def at() -> Entrance:
    return entrance()


@pytest.fixture
async def browser(at: Entrance) -> AsyncIterator[Browser]:
    async with at.browser() as one:
        yield one


async def act(browser: Browser, page: Page, action: str, which: int = 0) -> Page:
    forms = [form for form in page.forms if ("action", action) in form.fields]
    return await browser.post(forms[which].action, forms[which].fields)


async def test_it_shows_where_one_is_signed_in_and_ends_one_of_them(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    async with at.browser("198.51.100.9") as elsewhere:
        await at.sign_in(elsewhere, ana)
        page = await at.sign_in(browser, ana)
        assert "from 198.51.100.9" in page.text
        assert page.text.count("(here)") == 1

        page = await act(browser, page, "end")

        assert "198.51.100.9" not in page.text
        assert (await elsewhere.get("/auth/account")).heading == "Sign in"
    assert [why for _, why in at.door.dependents.ended] == [Ended.SIGNED_OUT]


async def test_nobody_ends_somebody_elses(at: Entrance, browser: Browser) -> None:
    ana, ben = await at.door.person("ana"), await at.door.person("ben")
    async with at.browser() as elsewhere:
        await at.sign_in(elsewhere, ben)
        [bens] = await at.door.open.sessions.of_user(ben.id)
        page = await at.sign_in(browser, ana)
        token = page.form("/account").fields[0]

        await browser.post("/auth/account", [token, ("action", "end"), ("sign-in", bens.id)])

        assert (await elsewhere.get("/auth/account")).heading == "Your sign-in"


async def test_signing_out_ends_this_one_and_everywhere_all(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    async with at.browser() as elsewhere:
        await at.sign_in(elsewhere, ana)
        page = await at.sign_in(browser, ana)

        page = await browser.submit(page, "/sign-out")
        assert page.heading == "Signed out"
        assert (await browser.get("/auth/account")).heading == "Sign in"
        assert (await elsewhere.get("/auth/account")).heading == "Your sign-in"

        page = await at.sign_in(browser, ana)
        token = page.form("/sign-out").fields
        await browser.post("/auth/sign-out", [*token, ("everywhere", "yes")])
        assert (await elsewhere.get("/auth/account")).heading == "Sign in"
    assert at.door.dependents.users == [(ana.id, Ended.SIGNED_OUT)]
    assert [action for action, _ in at.door.witness.actions][-1] == "sign-out-everywhere"


async def test_to_sign_out_twice_is_no_fault(at: Entrance, browser: Browser) -> None:
    page = await browser.get("/auth/sign-in")

    page = await browser.post("/auth/sign-out", page.form("/sign-in").fields)

    assert page.heading == "Signed out"


async def test_notices_stand_until_they_were_read(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.door.open.administration.reset_password(ana)
    await at.door.alter(ana, password=ana.password)
    page = await at.sign_in(browser, ana)
    assert "an administrator gave out a new password" in page.text

    page = await act(browser, page, "notices-seen")

    assert "administrator gave out" not in page.text
    assert "administrator gave out" not in (await browser.get("/auth/account")).text


async def test_known_browsers_are_counted_and_forgotten(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)
    assert "known to be yours: 1" in page.text

    page = await act(browser, page, "forget-browsers")

    assert "known to be yours: 0" in page.text
    assert await at.door.open.devices.count(ana.id) == 0


async def test_new_recovery_codes_make_the_old_ones_worthless(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    old = await at.door.open.enrolment.recovery_codes(ana, HOME)
    page = await at.sign_in(browser, ana)

    page = await act(browser, page, "new-codes")

    codes = page.text_of("code")
    assert len(codes) == 10
    assert not set(codes) & set(old)
    assert (await browser.get("/auth/account")).text.count(codes[0]) == 0


@pytest.mark.parametrize("action", ["new-codes", "remove-totp"])
async def test_what_changes_a_factor_asks_for_a_proof_again(at: Entrance, browser: Browser, action: str) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)
    at.door.clock.advance(timedelta(minutes=10))

    page = await act(browser, page, action)

    assert page.heading == "Sign in again"
    assert ("username", "ana") in page.form("/sign-in").fields
    assert (await at.door.now(ana)).totp is not None
    for path in ("enrol", "new-password"):
        assert (await browser.get(f"/auth/{path}")).heading == "Sign in again"
    assert (await at.sign_in(browser, ana)).heading == "Your sign-in"
    assert (await browser.get("/auth/enrol")).heading == "Set up the second step"


async def test_s61_staff_keep_a_second_factor(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)

    page = await act(browser, page, "remove-totp")

    assert page.status == 422
    assert "Set up another second step" in page.text
    assert (await at.door.now(ana)).totp is not None


async def test_a_patient_may_do_without_and_is_signed_out_by_it(at: Entrance, browser: Browser) -> None:
    pat = await at.door.person("pat", "patient", fhir_user="Patient/p1")
    page = await at.sign_in(browser, pat)

    page = await act(browser, page, "remove-totp")

    assert page.heading == "Signed out"
    assert (await at.door.now(pat)).totp is None
    assert at.door.dependents.users == [(pat.id, Ended.FACTOR_REMOVED)]


async def test_a_second_app_takes_the_place_of_the_first(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.door.open.enrolment.recovery_codes(ana, HOME)
    await at.sign_in(browser, ana)
    page = await browser.get("/auth/enrol")
    assert "takes the place" in page.text
    secret = "".join(page.text_of("code")[0].split())

    page = await browser.submit(page, "/enrol", code=pyotp.TOTP(secret).at(at.door.clock.now()))

    assert page.heading == "Your sign-in"
    factor = (await at.door.now(ana)).totp
    assert factor is not None
    assert factor.secret == secret


async def test_without_codes_a_later_factor_shows_them(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.sign_in(browser, ana)
    page = await browser.get("/auth/enrol")
    secret = "".join(page.text_of("code")[0].split())

    page = await browser.submit(page, "/enrol", code=pyotp.TOTP(secret).at(at.door.clock.now()))

    assert page.heading == "Your recovery codes"


async def test_a_passkey_is_removed_while_another_factor_stays(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.door.alter(ana, passkeys=(Passkey(b"\xfa\x00", b"", 0, "Old <phone>", ana.created, synced=False),))
    page = await at.sign_in(browser, ana)
    assert "Old <phone>" in page.text
    assert "<phone>" not in page.html

    page = await act(browser, page, "remove-passkey")

    assert page.heading == "Signed out"
    assert (await at.door.now(ana)).passkeys == ()


async def test_a_new_password_is_set_by_whoever_proved_it_a_moment_ago(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    async with at.browser() as elsewhere:
        await at.sign_in(elsewhere, ana)
        await at.sign_in(browser, ana)

        page = await browser.submit(
            await browser.get("/auth/new-password"), "/new-password", password=NEW, repeated=NEW
        )

        assert page.heading == "Your sign-in"
        assert (await elsewhere.get("/auth/account")).heading == "Sign in"
        page = await elsewhere.submit(
            await elsewhere.get("/auth/sign-in"), "/sign-in", username="ana", password=PASSWORD
        )
        assert page.status == 422


async def test_a_button_that_is_none_does_nothing(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)

    page = await browser.post("/auth/account", [page.form("/account").fields[0], ("action", "promote")])

    assert page.status == 422


async def test_who_was_disabled_is_out_at_the_next_page(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.sign_in(browser, ana)
    await at.door.alter(ana, state=State.DISABLED)

    assert (await browser.get("/auth/account")).heading == "Sign in"


async def test_an_idle_sign_in_is_over_and_its_form_with_it(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)
    at.door.clock.advance(timedelta(minutes=15))

    assert (await act(browser, page, "new-codes")).status == 403
    assert (await browser.get("/auth/account")).heading == "Sign in"


async def test_what_was_begun_ends_while_somebody_looks_for_their_phone(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=PASSWORD)
    at.door.clock.advance(timedelta(minutes=10))

    assert (await browser.submit(page, "/second-factor", code=at.door.code(ana))).status == 403
    assert (await browser.get("/auth/second-factor")).heading == "Sign in"


@pytest.mark.parametrize("path", ["enrol", "second-factor"])
async def test_what_ended_at_the_very_moment_begins_again(
    at: Entrance, browser: Browser, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request of the same browser was faster."""
    ana = await at.door.person("ana", totp=path == "second-factor")
    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=PASSWORD)
    secret = ana.totp.secret if ana.totp else "".join(page.text_of("code")[0].split())
    code = pyotp.TOTP(secret).at(at.door.clock.now())

    async def lost(*given: object) -> None:
        return None

    monkeypatch.setattr(at.door.kept.sign_ins, "replace", lost)

    page = await browser.submit(page, f"/{path}", code=code)

    assert page.heading in {"Sign in", "Your recovery codes"}
    assert (await browser.get("/auth/account")).heading == "Sign in"
