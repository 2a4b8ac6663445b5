"""From a client's request to its answer, page by page, without a script. Rows S60, S61, T75; R-SMART-022 to -024."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from fhir_server.kernel import json
from fhir_server.kernel.errors import ForbiddenError, UnavailableError
from fhir_server.smart.signin.administration import NewUser
from fhir_server.smart.signin.sessions import Sessions
from tests.browsing import Browser, Page
from tests.fakes.authenticator import FakeAuthenticator
from tests.fakes.authorizations import CALLBACK
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


def secret_in(page: Page) -> str:
    return "".join(page.text_of("code")[0].split())


async def test_s61_password_code_consent_and_back_to_the_client(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask()

    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "Allow access?"
    await browser.submit(page, "/consent")

    assert browser.left_for == f"{CALLBACK}?code=c-r1"
    approval = at.authorizations.approved["r1"]
    assert approval.subject == ana.id
    assert (approval.username, approval.name, approval.role) == ("ana", "Ana", "nurse")
    assert approval.methods == ("pwd", "otp", "mfa")
    assert approval.scopes == ("openid", "fhirUser", "user/Patient.rs")
    assert approval.signed_in == at.door.clock.now()
    assert await at.door.open.sessions.live(approval.session)
    assert at.door.witness.actions == [("sign-in", True)]


async def test_s61_staff_without_a_second_factor_get_no_token_but_set_one_up(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana", totp=False)
    at.authorizations.ask()
    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "Set up the second step"
    for elsewhere in ("consent", "role", "account", "patient"):
        assert (await browser.get(f"/auth/{elsewhere}?request=r1")).heading == "Sign in"
    assert not [button for form in page.forms for button in form.buttons if button[0] == "skip"]
    again = await browser.post(
        "/auth/enrol",
        [*[one for one in page.form("/enrol").fields if one[0] != "code"], ("skip", "yes")],
    )
    assert again.heading == "Set up the second step"

    code = pyotp.TOTP(secret_in(page)).at(at.door.clock.now())
    codes = await browser.submit(again, "/enrol", code=code)

    assert codes.heading == "Your recovery codes"
    assert len(codes.text_of("code")) == 10
    assert at.authorizations.approved == {}
    page = await browser.get("/auth/sign-in?request=r1")
    assert page.heading == "Allow access?"
    await browser.submit(page, "/consent")
    assert at.authorizations.approved["r1"].methods == ("pwd", "otp", "mfa")


async def test_a_new_user_sets_password_and_factor_and_is_in(at: Entrance, browser: Browser) -> None:
    _, once = await at.door.open.administration.add(NewUser("ana", "Ana", ("nurse",), None))
    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=once)
    assert page.heading == "Choose a password"

    page = await browser.submit(page, "/new-password", password="12345678", repeated="12345678")
    assert "Everybody tries this one first" in page.text
    page = await browser.submit(page, "/new-password", password=NEW, repeated=NEW + "x")
    assert "not the same" in page.text
    page = await browser.submit(page, "/new-password", password=NEW, repeated=NEW)
    assert page.heading == "Set up the second step"
    page = await browser.submit(page, "/enrol", code="000000")
    assert "The code is not right" in page.text
    page = await browser.submit(page, "/enrol", code=pyotp.TOTP(secret_in(page)).at(at.door.clock.now()))

    assert page.heading == "Your recovery codes"
    assert (await browser.get("/auth/sign-in")).heading == "Your sign-in"


async def test_a_password_for_once_does_not_get_by_the_second_factor(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    once = await at.door.open.administration.reset_password(ana)

    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=once)
    assert page.heading == "Second step"
    assert (await browser.get("/auth/new-password")).heading == "Sign in"
    page = await browser.submit(page, "/second-factor", code=at.door.code(ana))

    assert page.heading == "Choose a password"
    page = await browser.submit(page, "/new-password", password=NEW, repeated=NEW)
    assert page.heading == "Your sign-in"
    assert "an administrator gave out a new password" in page.text


async def test_a_patient_is_offered_a_second_factor_and_may_go_on_without(at: Entrance, browser: Browser) -> None:
    pat = await at.door.person("pat", "patient", totp=False, fhir_user="Patient/p1")
    at.authorizations.ask(scopes=("launch/patient", "patient/*.rs"), needs_patient=True)
    page = await at.sign_in(browser, pat, "r1")
    assert page.heading == "Set up the second step"

    [skip] = [form for form in page.forms if ("skip", "yes", "") in form.buttons]
    page = await browser.post(skip.action, [*skip.fields, ("skip", "yes")])
    assert page.heading == "Allow access?"
    await browser.submit(page, "/consent")

    approval = at.authorizations.approved["r1"]
    assert (approval.role, approval.patient, approval.methods) == ("patient", "p1", ("pwd",))


async def test_where_patients_need_a_second_factor_none_is_skipped(browser: Browser) -> None:
    at = entrance(patients_by_password=False)
    pat = await at.door.person("pat", "patient", totp=False, fhir_user="Patient/p1")
    async with at.browser() as other:
        page = await at.sign_in(other, pat)
        form = page.form("/enrol")

        page = await other.post(form.action, [*form.fields, ("skip", "yes")])

        assert page.heading == "Set up the second step"
        assert 'name="skip"' not in page.html


async def test_a_passkey_is_both_factors(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana", totp=False)
    device = FakeAuthenticator()
    page = await at.sign_in(browser, ana)
    options = page.form("/enrol", passkey=True).options or ""
    challenge = json.decode(options.encode())["challenge"]
    page = await browser.with_passkey(page, "/enrol", device.register(options), challenge, label="My phone")
    assert page.heading == "Your recovery codes"
    assert [one.methods for one in at.door.kept.sign_ins.rows.values()] == [("pwd", "pop", "mfa")]

    async with at.browser() as elsewhere:
        at.authorizations.ask()
        page = await elsewhere.get("/auth/sign-in?request=r1")
        options = page.form("/sign-in", passkey=True).options or ""
        challenge = json.decode(options.encode())["challenge"]
        page = await elsewhere.with_passkey(page, "/sign-in", device.sign(options), challenge)
        assert page.heading == "Allow access?"
        await elsewhere.submit(page, "/consent")

    assert at.authorizations.approved["r1"].methods == ("hwk", "user", "mfa")
    assert [one.label for one in (await at.door.now(ana)).passkeys] == ["My phone"]


async def test_a_passkey_is_the_second_factor_after_a_password(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana", totp=False)
    device = FakeAuthenticator()
    page = await at.sign_in(browser, ana)
    options = page.form("/enrol", passkey=True).options or ""
    await browser.with_passkey(
        page, "/enrol", device.register(options), json.decode(options.encode())["challenge"], label=""
    )

    async with at.browser() as elsewhere:
        page = await at.sign_in(elsewhere, ana)
        assert page.heading == "Second step"
        options = page.form("/second-factor", passkey=True).options or ""
        challenge = json.decode(options.encode())["challenge"]
        refused = await elsewhere.with_passkey(page, "/second-factor", "{}", challenge)
        assert (refused.status, refused.heading) == (422, "Second step")
        options = refused.form("/second-factor", passkey=True).options or ""
        challenge = json.decode(options.encode())["challenge"]
        page = await elsewhere.with_passkey(refused, "/second-factor", device.sign(options), challenge)

    assert page.heading == "Your sign-in"
    assert "Passkey: Passkey" in page.text


async def test_a_refused_passkey_is_said_on_the_first_page(at: Entrance, browser: Browser) -> None:
    page = await browser.get("/auth/sign-in")

    page = await browser.with_passkey(page, "/sign-in", "{}", "AAAA")

    assert page.status == 422
    assert "The passkey was not accepted." in page.text


async def test_a_recovery_code_lets_in_once(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    codes = await at.door.open.enrolment.recovery_codes(ana, HOME)
    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=PASSWORD)
    assert page.heading == "Second step"
    page = await browser.get("/auth/recovery")

    page = await browser.submit(page, "/recovery", code="aaaa-aaaa-aaaa-aaaa")
    assert "none of your recovery codes" in page.text
    page = await browser.submit(page, "/recovery", code=codes[0].upper())

    assert page.heading == "Your sign-in"
    assert "Recovery codes left: 9" in page.text


async def test_s60_somebody_with_several_roles_chooses_one(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana", "nurse", "administrator")
    at.authorizations.ask()
    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "In which role?"

    wrong = await browser.submit(page, "/role", role="practitioner")
    assert wrong.status == 422
    page = await browser.submit(page, "/role", role="administrator")
    assert "It will act as: Administrator." in page.text
    await browser.submit(page, "/consent")

    assert at.authorizations.approved["r1"].role == "administrator"


async def person_in_record(at: Entrance, id: str, family: str, born: str = "1980-05-17") -> None:
    await at.store(
        {"resourceType": "Patient", "id": id, "name": [{"family": family, "given": ["Kim"]}], "birthDate": born}
    )


async def test_r_smart_022_staff_pick_one_patient_by_name_or_birth_date(at: Entrance, browser: Browser) -> None:
    for number in range(3):
        await person_in_record(at, f"p{number}-abcdef", "Lefèvre", f"198{number}-05-17")
    await person_in_record(at, "other", "Marchand")
    ana = await at.door.person("ana")
    at.authorizations.ask(scopes=("launch/patient", "patient/*.rs"), needs_patient=True)
    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "Which patient?"

    assert "Give a name" in (await browser.submit(page, "/patient", name=" ")).text
    assert "cannot be searched" in (await browser.submit(page, "/patient", birthdate="yesterday")).text
    assert "Nobody found" in (await browser.submit(page, "/patient", name="Nobody")).text
    page = await browser.submit(page, "/patient", name="lefevre", birthdate="1981-05-17")
    assert "Found: 1" in page.text
    assert "Kim Lefèvre" in page.text
    assert "name=" not in page.address
    found = page.forms[-2]
    assert ("patient", "p1-abcdef", "") in [button for form in page.forms for button in form.buttons]
    page = await browser.post(
        "/auth/patient", [one for one in found.fields if one[0] != "patient"] + [("patient", "p1-abcdef")]
    )

    assert page.heading == "Allow access?"
    assert "number ends in abcdef" in page.text
    await browser.submit(page, "/consent")
    assert at.authorizations.approved["r1"].patient == "p1-abcdef"


async def test_the_search_for_a_patient_is_recorded_as_the_persons(at: Entrance, browser: Browser) -> None:
    await person_in_record(at, "p1", "Lefèvre")
    ana = await at.door.person("ana")
    at.authorizations.ask(needs_patient=True)
    page = await at.sign_in(browser, ana, "r1")
    before = len(at.engine.events())

    await browser.submit(page, "/patient", name="lefevre")

    [event] = at.engine.events()[before:]
    assert event["subtype"][0]["code"] == "search-type"
    assert any(agent["who"].get("reference") == "Practitioner/ana" for agent in event["agent"])


@pytest.mark.parametrize("id", ["unknown", "../Patient/p1", "p1/_history/1", ""])
async def test_a_patient_who_is_not_there_is_not_chosen(at: Entrance, browser: Browser, id: str) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask(needs_patient=True)
    page = await at.sign_in(browser, ana, "r1")

    page = await browser.submit(page, "/patient", patient=id)

    assert page.status == 422
    assert (await browser.get("/auth/consent?request=r1")).heading == "Which patient?"


async def test_a_launch_brings_its_patient_whom_the_user_must_see(at: Entrance, browser: Browser) -> None:
    await person_in_record(at, "p1", "Lefèvre")
    ana = await at.door.person("ana")
    at.authorizations.ask(patient="p1", encounter="e1", scopes=("launch", "patient/*.rs"))
    at.authorizations.ask("r2", patient="unknown", scopes=("launch", "patient/*.rs"))

    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "Allow access?"
    await browser.submit(page, "/consent")
    refused = await browser.get("/auth/sign-in?request=r2")

    approval = at.authorizations.approved["r1"]
    assert (approval.patient, approval.encounter) == ("p1", "e1")
    assert refused.status == 404
    assert "whom you may not see" in refused.text
    await browser.submit(refused, "/cancel")
    assert at.authorizations.denied == {"r2": "access_denied"}


async def test_a_patient_is_about_themselves_and_nobody_else(at: Entrance, browser: Browser) -> None:
    pat = await at.door.person("pat", "patient", fhir_user="Patient/p1")
    await person_in_record(at, "p2", "Marchand")
    at.authorizations.ask(patient="p2", scopes=("launch", "patient/*.rs"))

    page = await at.sign_in(browser, pat, "r1")

    assert page.status == 404
    at.authorizations.ask("r2", needs_patient=True)
    page = await browser.get("/auth/sign-in?request=r2")
    assert page.heading == "Allow access?"
    for path in ("patient", "consent"):
        forged = await browser.post(
            f"/auth/{path}", [("form_token", form_token(page)), ("request", "r2"), ("patient", "p2"), ("plain", "0")]
        )
        assert forged.status in {200, 303}
    assert at.authorizations.approved["r2"].patient == "p1"


def form_token(page: Page) -> str:
    return next(value for form in page.forms for name, value in form.fields if name == "form_token")


async def test_a_related_person_is_about_whom_the_record_says(at: Entrance, browser: Browser) -> None:
    await person_in_record(at, "p1", "Lefèvre")
    await at.store({"resourceType": "RelatedPerson", "id": "rp1", "patient": {"reference": "Patient/p1"}})
    kin = await at.door.person("kin", "related-person", fhir_user="RelatedPerson/rp1")
    lost = await at.door.person("lost", "related-person", fhir_user="RelatedPerson/unknown")
    at.authorizations.ask(needs_patient=True)
    page = await at.sign_in(browser, kin, "r1")
    await browser.submit(page, "/consent")
    assert at.authorizations.approved["r1"].patient == "p1"

    async with at.browser() as other:
        at.authorizations.ask("r2", needs_patient=True)
        assert (await at.sign_in(other, lost, "r2")).status == 404
        at.authorizations.ask("r3", scopes=("openid",))
        assert (await other.get("/auth/sign-in?request=r3")).heading == "Allow access?"


async def test_r_smart_024_what_is_unticked_is_not_granted(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask(
        scopes=("openid", "offline_access", "user/Patient.cruds", "user/Observation.rs", "user/Weird.rs", "strange")
    )
    page = await at.sign_in(browser, ana, "r1")
    assert page.text.count("add, correct, delete") == 1

    lab = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    typed: dict[str, Any] = {"plain": ["0"], "read": ["2", "3"], "write": [], "categories-3": [lab]}
    await browser.submit(page, "/consent", **typed)

    assert at.authorizations.approved["r1"].scopes == (
        "openid",
        "user/Patient.rs",
        f"user/Observation.rs?category={lab}",
    )


async def test_with_nothing_ticked_nothing_is_granted(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask(scopes=("launch/patient", "user/Patient.rs"), needs_patient=False)
    page = await at.sign_in(browser, ana, "r1")
    nothing: dict[str, Any] = {"plain": [], "read": [], "write": []}

    page = await browser.submit(page, "/consent", **nothing)

    assert page.status == 422
    assert "Nothing is ticked" in page.text
    assert at.authorizations.approved == {}


@pytest.mark.parametrize("stage", ["sign-in", "consent"])
async def test_to_cancel_is_to_deny(at: Entrance, browser: Browser, stage: str) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask()
    page = await browser.get("/auth/sign-in?request=r1")
    if stage == "consent":
        page = await at.sign_in(browser, ana, "r1")
        await browser.submit(page, "/consent", button="cancel")
    else:
        await browser.submit(page, "/cancel")

    assert at.authorizations.denied == {"r1": "access_denied"}
    assert browser.left_for == f"{CALLBACK}?error=access_denied"


async def test_who_is_signed_in_already_goes_straight_to_consent(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    await at.sign_in(browser, ana)
    at.authorizations.ask()

    assert (await browser.get("/auth/sign-in?request=r1")).heading == "Allow access?"


@pytest.mark.parametrize("given", [{"prompt": ("login",)}, {"max_age": 60}])
async def test_prompt_login_and_max_age_ask_for_a_proof_again(
    at: Entrance, browser: Browser, given: dict[str, Any]
) -> None:
    ana = await at.door.person("ana")
    await at.sign_in(browser, ana)
    [before] = at.door.kept.sign_ins.rows
    at.door.clock.advance(timedelta(minutes=5))
    at.authorizations.ask(**given)

    assert (await browser.get("/auth/sign-in?request=r1")).heading == "Sign in"
    assert (await browser.get("/auth/consent?request=r1")).heading == "Sign in"
    page = await at.sign_in(browser, ana, "r1")
    assert page.heading == "Allow access?"
    await browser.submit(page, "/consent")

    assert at.authorizations.approved["r1"].session == before, "what hangs on the sign-in goes on"
    assert at.authorizations.approved["r1"].signed_in == at.door.clock.now()


async def test_prompt_none_never_shows_a_page(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask("r1", prompt=("none",))
    await browser.get("/auth/sign-in?request=r1")
    assert at.authorizations.denied["r1"] == "login_required"
    at.authorizations.ask("r2")
    page = await at.sign_in(browser, ana, "r2")

    at.authorizations.ask("r3", prompt=("none",))
    await browser.get("/auth/sign-in?request=r3")
    assert at.authorizations.denied["r3"] == "consent_required"

    await browser.submit(page, "/consent")
    at.authorizations.ask("r4", prompt=("none",), scopes=("openid", "user/Patient.rs"))
    await browser.get("/auth/sign-in?request=r4")
    assert browser.left_for == f"{CALLBACK}?code=c-r4"
    for id, more in (
        ("r5", {"scopes": ("openid", "user/Media.rs")}),
        ("r6", {"client_id": "another"}),
        ("r7", {"patient": "p1"}),
    ):
        at.authorizations.ask(id, prompt=("none",), **more)
        await browser.get(f"/auth/sign-in?request={id}")
        assert at.authorizations.denied[id] == "consent_required"
    at.door.clock.advance(timedelta(minutes=5))
    at.authorizations.ask("r8", prompt=("none",), max_age=60)
    await browser.get("/auth/sign-in?request=r8")
    assert at.authorizations.denied["r8"] == "login_required"


async def test_a_hint_fills_in_the_name(at: Entrance, browser: Browser) -> None:
    at.authorizations.ask(login_hint="ana.lopez")

    page = await browser.get("/auth/sign-in?request=r1")

    assert ("username", "ana.lopez") in page.form("/sign-in").fields


@pytest.mark.parametrize("page", ["sign-in", "role", "patient", "consent", "account", "second-factor", "recovery"])
async def test_nobody_gets_to_a_later_page_first(at: Entrance, browser: Browser, page: str) -> None:
    at.authorizations.ask()

    assert (await browser.get(f"/auth/{page}?request=r1")).heading == "Sign in"


@pytest.mark.parametrize(
    "page", ["second-factor", "recovery", "new-password", "enrol", "role", "patient", "consent", "account"]
)
async def test_nobody_posts_to_a_later_page_first(at: Entrance, browser: Browser, page: str) -> None:
    at.authorizations.ask()
    token = form_token(await browser.get("/auth/sign-in?request=r1"))

    answer = await browser.post(f"/auth/{page}", [("form_token", token), ("request", "r1"), ("role", "nurse")])

    assert answer.heading == "Sign in"
    assert at.authorizations.approved == {}


async def test_a_request_that_is_over_is_said(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await browser.get("/auth/sign-in?request=unknown")
    assert (page.status, page.heading) == (400, "This does not work")
    at.authorizations.ask()
    form = await browser.get("/auth/sign-in?request=r1")

    at.door.clock.advance(timedelta(minutes=10))

    assert (await browser.submit(form, "/sign-in", username="ana", password=PASSWORD)).status == 400
    assert (await browser.submit(form, "/cancel")).status == 400
    await at.sign_in(browser, ana)
    assert (await browser.get("/auth/sign-in?request=r1")).status == 400


async def test_too_many_attempts_are_told_to_wait(at: Entrance, browser: Browser) -> None:
    await at.door.person("ana")
    page = await browser.get("/auth/sign-in")
    for _ in range(5):
        page = await browser.submit(page, "/sign-in", username="ana", password="wrong")
        assert page.status == 422

    page = await browser.submit(page, "/sign-in", username="ana", password=PASSWORD)

    assert page.status == 429
    assert page.headers["retry-after"] == "2"
    assert "Try again in 2 seconds" in page.text


async def test_a_known_browser_gets_in_while_strangers_are_made_to_wait(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana")
    page = await at.sign_in(browser, ana)
    await browser.submit(page, "/sign-out")
    async with at.browser() as mallory:
        form = await mallory.get("/auth/sign-in")
        for _ in range(60):
            form = await mallory.submit(form, "/sign-in", username="ana", password="wrong")
        assert form.status == 429
        at.door.clock.advance(timedelta(seconds=1))

    page = await at.sign_in(browser, ana)

    assert page.heading == "Your sign-in"


async def test_t75_another_person_on_the_browser_is_signed_in_alone(at: Entrance, browser: Browser) -> None:
    ana, ben = await at.door.person("ana"), await at.door.person("ben")
    await at.sign_in(browser, ana)
    at.authorizations.ask(prompt=("login",))

    page = await at.sign_in(browser, ben, "r1")
    await browser.submit(page, "/consent")

    assert at.authorizations.approved["r1"].subject == ben.id
    assert await at.door.open.sessions.of_user(ana.id) == []


async def test_s60_a_role_that_sees_no_patient_finds_none(
    at: Entrance, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await at.door.person("ana", "marketing")
    at.authorizations.ask(needs_patient=True)
    page = await at.sign_in(browser, ana, "r1")

    async def refused(*given: object) -> None:
        raise ForbiddenError("No granted scope allows it.")

    monkeypatch.setattr(at.engine.engine, "search", refused)

    assert "Nobody found" in (await browser.submit(page, "/patient", name="Lef")).text


async def test_t57_where_the_record_cannot_be_read_nothing_is_granted(
    at: Entrance, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await at.door.person("ana")
    at.authorizations.ask(patient="p1")

    async def away(*given: object) -> None:
        raise UnavailableError("The database did not answer.")

    monkeypatch.setattr(at.engine.engine, "read", away)

    page = await at.sign_in(browser, ana, "r1")

    assert page.status == 503
    assert "cannot answer now" in page.text
    assert at.authorizations.approved == {}


async def test_t57_where_nothing_can_be_recorded_nobody_gets_in(
    at: Entrance, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await at.door.person("ana")

    async def full(*given: object, **named: object) -> None:
        raise UnavailableError("The audit log cannot keep up.")

    monkeypatch.setattr(at.door.witness, "witness", full)

    page = await at.sign_in(browser, ana)

    assert page.status == 503
    assert "session" not in browser.http.cookies


async def test_a_patient_is_picked_after_the_role(at: Entrance, browser: Browser) -> None:
    ana = await at.door.person("ana", "nurse", "administrator")
    at.authorizations.ask(needs_patient=True)
    page = await at.sign_in(browser, ana, "r1")

    assert (await browser.get("/auth/patient?request=r1")).heading == "In which role?"
    forged = [("form_token", form_token(page)), ("request", "r1"), ("patient", "p1")]
    assert (await browser.post("/auth/patient", forged)).heading == "In which role?"


@pytest.mark.parametrize("path", ["again", "enrol", "new-password"])
async def test_who_is_not_signed_in_proves_nothing_again(at: Entrance, browser: Browser, path: str) -> None:
    assert (await browser.get(f"/auth/{path}")).heading == "Sign in"


async def test_a_sign_in_that_ended_while_it_was_completed_begins_again(
    at: Entrance, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await at.door.person("ana")
    page = await browser.submit(await browser.get("/auth/sign-in"), "/sign-in", username="ana", password=PASSWORD)

    async def lost(*given: object) -> None:
        return None

    monkeypatch.setattr(Sessions, "complete", lost)

    assert (await browser.submit(page, "/second-factor", code=at.door.code(ana))).heading == "Sign in"


async def test_an_enrolment_that_cannot_be_kept_is_not_begun(
    at: Entrance, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await at.door.person("ana")
    await at.sign_in(browser, ana)

    async def lost(*given: object) -> None:
        return None

    monkeypatch.setattr(Sessions, "keep", lost)

    assert (await browser.get("/auth/enrol")).heading == "Sign in again"


async def test_t_75_r_ehds_005_two_people_on_one_user_are_told_apart_by_their_second_factor(at: Entrance) -> None:
    ana = await at.door.person("shared", totp=False)
    devices = [FakeAuthenticator(), FakeAuthenticator()]
    party = at.door.open.relying_party
    assert party is not None
    for device in devices:
        challenge = at.door.open.binding.challenge("enrol", "b", at.door.clock.now())
        response = device.register(party.registration(await at.door.now(ana), challenge))
        await at.door.open.enrolment.enrol_passkey(await at.door.now(ana), response, challenge, "b", "key", HOME)
    for device in (devices[0], devices[1], devices[0]):
        async with at.browser() as browser:
            page = await browser.get("/auth/sign-in")
            options = page.form("/sign-in", passkey=True).options or ""
            challenge = json.decode(options.encode())["challenge"]
            assert (await browser.with_passkey(page, "/sign-in", device.sign(options), challenge)).heading

    factors = [one.factor for one in at.door.witness.seen if one.action == "sign-in"]

    assert factors[0] == factors[2] != factors[1]
    assert all(factor.startswith("passkey/") for factor in factors)
