"""PyPI's fhirclient: standalone launch through a real browser, and as a service; records, pages, batch, refresh."""

from collections.abc import Iterator

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException
from playwright.sync_api import BrowserContext

from tests.clients.conftest import Demo, allow
from tests.clients.services import assertion


def closing(client: FHIRClient) -> None:
    client.server.session.close()


@pytest.fixture(scope="module")
def web(demo: Demo, app: str, browser: BrowserContext) -> Iterator[FHIRClient]:
    """A web app with a secret, when its person came back."""
    registered = demo.client("confidential-symmetric")
    client = FHIRClient(
        {
            "app_id": registered["client_id"],
            "app_secret": registered["secret"],
            "api_base": demo.base,
            "redirect_uri": registered["redirect_uris"][0],
            "scope": "openid fhirUser offline_access patient/*.rs",
        }
    )
    client.prepare()
    page = browser.new_page()
    page.route(f"{registered['redirect_uris'][0]}**", lambda route: route.fulfill(body="The app is back."))
    page.goto(client.authorize_url)
    allow(page, demo.user("anais"), "Lefèvre")
    page.wait_for_url(f"{registered['redirect_uris'][0]}**")
    client.handle_callback(page.url)
    yield client
    closing(client)


@pytest.fixture(scope="module")
def service(demo: Demo) -> Iterator[FHIRClient]:
    client = FHIRClient(
        {
            "app_id": demo.client("backend")["client_id"],
            "api_base": demo.base,
            "scope": "system/*.cruds",
            "jwt_token": assertion(demo),
        }
    )
    client.wants_patient = False  # R-BULK-037: a service that asks for a launch scope is refused
    client.prepare()
    client.authorize()
    yield client
    closing(client)


def test_r_smart_011_027_a_launch_by_the_capability_statement_ends_with_the_patient(web: FHIRClient) -> None:
    assert web.ready
    assert web.patient_id == "demo-p1"
    assert web.patient.id == "demo-p1"
    assert "Lefèvre" in web.human_name(web.patient.name[0])


def test_what_is_beyond_the_patient_is_not_found(web: FHIRClient) -> None:
    with pytest.raises(FHIRNotFoundException):
        Patient.read("demo-p2", web.server)


def test_a_refresh_gives_another_token_that_works(web: FHIRClient) -> None:
    before = web.server.auth.access_token

    assert web.reauthorize()
    assert web.server.auth.access_token != before
    assert Patient.read("demo-p1", web.server).id == "demo-p1"
    assert web.reauthorize()


def test_all_pages_of_a_search_are_fetched(web: FHIRClient) -> None:
    search = Observation.where({"patient": "demo-p1", "_count": "2"})

    found = [one.id for one in search.perform_resources_iter(web.server)]

    assert len(found) > 2
    assert len(found) == len(set(found))


def test_a_service_gets_a_token_by_its_signature(service: FHIRClient) -> None:
    assert service.ready
    assert service.server.auth.refresh_token is None


def test_a_record_is_created_updated_searched_and_deleted(service: FHIRClient) -> None:
    one = Patient({"name": [{"family": "Pypi", "given": ["Ada"]}], "birthDate": "1990-02-03"})
    one.id = one.create(service.server)["id"]
    one.gender = "female"
    one.update(service.server)

    [found] = list(Patient.where({"family": "Pypi"}).perform_resources_iter(service.server))

    assert (found.id, found.gender, found.birthDate.isostring) == (one.id, "female", "1990-02-03")
    found.delete(service.server)
    assert list(Patient.where({"family": "Pypi"}).perform_resources_iter(service.server)) == []


def test_a_batch_answers_entry_by_entry(service: FHIRClient) -> None:
    named = Patient({"name": [HumanName({"family": "Batched"}).as_json()]}).as_json()
    entries = [
        {"request": {"method": "POST", "url": "Patient"}, "resource": named},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
    ]
    batch = Bundle({"type": "batch", "entry": entries})

    answer = Bundle(service.server.post_json("", batch.as_json()).json())

    assert [entry.response.status[:3] for entry in answer.entry] == ["201", "404"]


def test_a_token_that_is_none_is_heard_as_401(demo: Demo, service: FHIRClient) -> None:
    client = FHIRClient({"app_id": "x", "api_base": demo.base})
    client.prepare()
    try:
        with pytest.raises(FHIRUnauthorizedException):
            Patient.read("demo-p1", client.server)
    finally:
        closing(client)
