"""The pages in a real browser: by password and code, by passkey, without scripts, by keyboard, in French."""

import re
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fhir_server.smart.signin.users import User
from fhir_server.ui.language import texts
from tests.browser.conftest import Site
from tests.browser.looking import faults, hidden_focus
from tests.fakes.door import PASSWORD

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def somebody(site: Site, *roles: str, totp: bool = True, **given: Any) -> User:
    return site.do(site.entrance.door.person("ana", *roles, totp=totp, **given))


def press(page: Page, button: str) -> None:
    """And wait for the page that answers, so that nothing looks at the one before or at none."""
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()


def by_password(page: Page, site: Site, request: str | None = None) -> None:
    page.goto(f"{site.url}/auth/sign-in{f'?request={request}' if request else ''}")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")


def by_code(page: Page, site: Site, user: User) -> None:
    page.get_by_label("Code from your authenticator app").fill(site.entrance.door.code(user))
    press(page, "Continue")


def test_password_code_unticking_and_back_to_the_app(page: Page, site: Site) -> None:
    user = somebody(site)
    scopes = ("openid", "offline_access", "user/Patient.cruds", "user/Observation.rs", "user/*.rs")
    site.entrance.authorizations.ask(scopes=scopes)
    by_password(page, site, "r1")
    assert faults(page) == []
    by_code(page, site, user)
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")
    assert faults(page) == []

    page.get_by_label("Keep this access after you sign out").uncheck()
    page.get_by_label("Change personal details").uncheck()
    page.get_by_text("Only some categories").click()
    for label in ("Vital signs", "Habits and way of life", "Questionnaires and scores", "Examination"):
        page.get_by_label(label).uncheck()
    page.get_by_label("Living conditions").uncheck()
    page.get_by_label("See everything in the record").uncheck()
    assert faults(page) == []
    page.get_by_role("button", name="Allow what is ticked").click()

    page.wait_for_url(f"{site.callback}?code=c-r1")
    assert site.entrance.authorizations.approved["r1"].scopes == (
        "openid",
        "user/Patient.rs",
        f"user/Observation.rs?category={LAB}",
    )


def test_everything_but_passkeys_works_without_scripts(chromium: Browser, site: Site) -> None:
    user = somebody(site, "nurse", "administrator")
    site.do(
        site.entrance.store(
            {"resourceType": "Patient", "id": "p1", "name": [{"family": "Lefèvre"}], "birthDate": "1988-05-17"}
        )
    )
    site.entrance.authorizations.ask(scopes=("launch/patient", "patient/*.rs"), needs_patient=True)
    with chromium.new_context(java_script_enabled=False, locale="en-GB") as context:
        context.set_default_timeout(15_000)
        page = context.new_page()
        by_password(page, site, "r1")
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
        by_code(page, site, user)
        page.get_by_label("Nurse").check()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Name").fill("lefevre")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Lefèvre").click()
        page.get_by_role("button", name="Allow what is ticked").click()
        page.wait_for_url(f"{site.callback}?code=c-r1")

    approval = site.entrance.authorizations.approved["r1"]
    assert (approval.role, approval.patient) == ("nurse", "p1")


def with_authenticator(context: BrowserContext, page: Page) -> str:
    """A virtual one that verifies its user; its id."""
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made = devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return str(made["authenticatorId"])


def test_a_passkey_is_made_and_then_is_enough(context: BrowserContext, page: Page, site: Site) -> None:
    somebody(site, totp=False)
    with_authenticator(context, page)
    by_password(page, site)
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up the second step")
    assert faults(page) == []
    page.get_by_label("Name for this passkey").fill("My phone")
    press(page, "Make a passkey")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    assert faults(page) == []
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("main")).to_contain_text("Passkey: My phone")
    assert faults(page) == []
    page.get_by_role("button", name="Sign out", exact=True).click()
    site.entrance.authorizations.ask()

    page.goto(f"{site.url}/auth/sign-in?request=r1")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")
    page.get_by_role("button", name="Allow what is ticked").click()

    page.wait_for_url(f"{site.callback}?code=c-r1")
    assert site.entrance.authorizations.approved["r1"].methods == ("hwk", "user", "mfa")


def test_a_passkey_is_the_second_step_and_a_missing_one_is_said(
    context: BrowserContext, page: Page, site: Site
) -> None:
    somebody(site, totp=False)
    with_authenticator(context, page)
    by_password(page, site)
    page.get_by_label("Name for this passkey").fill("key")
    press(page, "Make a passkey")
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("button", name="Sign out", exact=True).click()

    by_password(page, site)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your sign-in")
    page.get_by_role("button", name="Sign out", exact=True).click()
    context.clear_cookies()
    other = context.new_page()
    devtools = context.new_cdp_session(other)
    devtools.send("WebAuthn.enable")
    by_password(other, site)
    other.evaluate("() => { navigator.credentials.get = () => Promise.reject(new Error('no')) }")
    other.get_by_role("button", name="Use a passkey").click()

    expect(other.get_by_role("status")).to_have_text("The device gave no passkey. Try again, or use another way.")


def test_in_french_from_the_first_page_to_the_last(chromium: Browser, site: Site) -> None:
    user = somebody(site)
    site.entrance.authorizations.ask(scopes=("openid", "user/Patient.rs"))
    with chromium.new_context(locale="fr-FR") as context:
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(f"{site.url}/auth/sign-in?request=r1")
        assert page.locator("html").get_attribute("lang") == "fr"
        assert faults(page) == []
        page.get_by_label("Identifiant").fill("ana")
        page.get_by_label("Mot de passe").fill(PASSWORD)
        press(page, "Se connecter")
        page.get_by_label("Code de votre application").fill(site.entrance.door.code(user))
        press(page, "Continuer")
        expect(page.get_by_role("heading", level=1)).to_have_text(texts("fr")["consent-title"])
        expect(page.get_by_label("Voir ce que vous pouvez voir : données personnelles")).to_be_checked()
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")


def test_by_keyboard_alone(page: Page, site: Site) -> None:
    user = somebody(site)
    site.entrance.authorizations.ask()
    page.goto(f"{site.url}/auth/sign-in?request=r1")

    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second step")
    page.keyboard.type(site.entrance.door.code(user))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")
    assert hidden_focus(page) == []
    page.get_by_role("button", name="Allow what is ticked").focus()
    page.keyboard.press("Enter")

    page.wait_for_url(f"{site.callback}?code=c-r1")


def test_a_fault_is_told_first_and_the_field_has_the_focus(page: Page, site: Site) -> None:
    somebody(site)
    page.goto(f"{site.url}/auth/sign-in")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password").fill("wrong")
    press(page, "Sign in")

    expect(page.get_by_role("alert")).to_contain_text("The user name or the password is not right.")
    expect(page.get_by_label("User name")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error: Sign in .* Clinic Ü$"))
    assert faults(page) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_pages_fit_a_small_window_and_a_large_one(page: Page, site: Site, width: int) -> None:
    user = somebody(site, totp=False)
    page.set_viewport_size({"width": width, "height": 640})
    by_password(page, site)
    assert faults(page) == []
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.get_by_label("Code from your authenticator app").fill(pyotp.TOTP(secret).at(site.entrance.door.clock.now()))
    press(page, "Set up the app")
    assert faults(page) == []
    page.goto(f"{site.url}/auth/account")
    assert faults(page) == []
    assert user.username == "ana"


def test_the_browser_itself_obeys_the_policy_and_reports_no_fault(page: Page, site: Site) -> None:
    """No script or style of ours is refused by the policy, and one that is planted is."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    user = somebody(site)
    site.entrance.authorizations.ask(client_name="<script>document.title = 'owned'</script>")
    by_password(page, site, "r1")
    by_code(page, site, user)
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")
    assert said == []

    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")

    assert page.title().startswith("Allow access?")
    assert any("Content Security Policy" in text for text in said)
