"""npm's fhirclient in a real browser: standalone launch by a person, and what an app does with what it got."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.clients.conftest import Demo, allow
from tests.clients.services import handle

SCOPE = "launch/patient openid fhirUser offline_access patient/*.cruds"


@pytest.fixture(scope="module")
def page(demo: Demo, modules: Path, app: str, browser: BrowserContext) -> Iterator[Page]:
    """The app, come back from the sign-in pages and launched."""
    page = browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{app}/launch?iss={quote(demo.base, safe='')}&scope={quote(SCOPE, safe='')}")
    allow(page, demo.user("anais"), "Lefèvre")
    page.wait_for_url(f"{app}/callback**")
    page.evaluate("async () => { window.client = await window.ready }")
    assert said == []
    yield page
    page.close()


def ask(page: Page, code: str) -> Any:
    """What comes of it in the app; a refusal of the server fails the test."""
    return page.evaluate(f"async () => {{ {code} }}")


def test_the_launch_ends_with_a_patient_a_user_and_a_token(demo: Demo, page: Page) -> None:
    told = ask(page, "return [client.patient.id, client.user.fhirUser, client.state.tokenResponse.scope]")

    assert told[0] == "demo-p1"
    assert told[1].endswith(demo.user("anais")["fhirUser"])
    assert "patient/*.cruds" in told[2].split()
    expect(page).to_have_title("The app is back")


def test_code_and_state_do_not_stay_in_the_address(page: Page) -> None:
    assert "code=" not in page.url


def test_the_patient_and_the_user_are_read(page: Page) -> None:
    assert ask(page, "return (await client.patient.read()).id") == "demo-p1"
    assert ask(page, "return (await client.user.read()).resourceType") == "Practitioner"


def test_all_pages_of_a_search_are_fetched(page: Page) -> None:
    whole = ask(page, "return await client.patient.request('Observation?_count=200', { flat: true })")
    paged = ask(page, "return await client.patient.request('Observation?_count=2', { pageLimit: 0, flat: true })")

    assert len(whole) > 2
    assert sorted(one["id"] for one in paged) == sorted(one["id"] for one in whole)


def test_references_are_resolved(page: Page) -> None:
    code = "return await client.patient.request('Observation?_count=1', { flat: true, resolveReferences: 'subject' })"

    assert ask(page, code)[0]["subject"]["id"] == "demo-p1"


def test_refresh_gives_another_token_that_works(page: Page) -> None:
    before = ask(page, "return client.state.tokenResponse.access_token")

    after = ask(page, "return (await client.refresh()).tokenResponse.access_token")

    assert after != before
    assert ask(page, "return (await client.patient.read()).id") == "demo-p1"
    assert ask(page, "return (await client.refresh()).tokenResponse.access_token") != after


def test_a_record_is_created_patched_updated_and_not_deleted_by_who_treats(page: Page) -> None:
    """What was a mistake is marked as one: no role that treats deletes."""
    code = """
      const made = await client.create({
        resourceType: "Observation", status: "preliminary", code: { text: "Swelling" },
        subject: { reference: "Patient/demo-p1" }, valueInteger: 2,
      });
      const path = `Observation/${made.id}`;
      const patched = await client.patch(path, [{ op: "replace", path: "/status", value: "final" }]);
      const updated = await client.update({ ...patched, valueInteger: 1 });
      const refused = await client.delete(path).then(() => 0, (fault) => fault.status);
      const marked = await client.update({ ...updated, status: "entered-in-error" });
      const versions = [made, patched, updated, marked];
      return [refused, ...versions.map((one) => [one.status, one.valueInteger, one.meta.versionId])];
    """

    versions = [["preliminary", 2, "1"], ["final", 2, "2"], ["final", 1, "3"], ["entered-in-error", 1, "4"]]
    assert ask(page, code) == [403, *versions]


def test_a_batch_answers_entry_by_entry(page: Page) -> None:
    code = """
      const bundle = { resourceType: "Bundle", type: "batch", entry: [
        { request: { method: "GET", url: "Patient/demo-p1" } },
        { request: { method: "GET", url: "Patient/demo-p2" } },
      ] };
      const answer = await client.request({
        url: "", method: "POST", body: JSON.stringify(bundle), headers: { "content-type": "application/fhir+json" },
      });
      return answer.entry.map((one) => one.response.status.slice(0, 3));
    """

    assert ask(page, code) == ["200", "404"]


def test_a_refusal_is_told_with_its_status(page: Page) -> None:
    code = "return await client.request('Patient/demo-p2').then(() => 0, (fault) => fault.status)"

    assert ask(page, code) == 404


def test_r_smart_019_an_ehr_opens_it_with_a_patient(
    demo: Demo, modules: Path, app: str, browser: BrowserContext, page: Page
) -> None:
    """The person is signed in from before and is asked for consent alone."""
    opened = browser.new_page()
    scope = quote("launch openid fhirUser patient/*.rs", safe="")
    opened.goto(f"{app}/launch?iss={quote(demo.base, safe='')}&scope={scope}&launch={quote(handle(demo, 'demo-p2'))}")
    allow(opened, demo.user("anais"))
    opened.wait_for_url(f"{app}/callback**")

    told = opened.evaluate(
        "async () => { const it = await window.ready; return [it.patient.id, it.state.tokenResponse] }"
    )

    assert told[0] == "demo-p2"
    assert told[1]["intent"] == "a look"
    assert told[1]["need_patient_banner"] is False
    opened.close()
