"""PyPI's fhirpy as a service, blocking and asynchronous: search, pages, records, patch, batch."""

from typing import Any

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, OperationOutcome, ResourceNotFound

from tests.clients import services
from tests.clients.conftest import Demo


@pytest.fixture(scope="module")
def token(demo: Demo) -> str:
    return f"Bearer {services.token(demo, 'system/*.cruds')}"


@pytest.fixture(scope="module")
def client(demo: Demo, token: str) -> SyncFHIRClient:
    return SyncFHIRClient(demo.base, authorization=token)


def person(client: SyncFHIRClient, family: str) -> Any:
    made = client.resource("Patient", name=[{"family": family, "given": ["Ada"]}], birthDate="1990-02-03")
    made.save()
    return made


def test_pages_are_followed_to_the_last_and_are_as_many_as_are_counted(
    demo: Demo, token: str, client: SyncFHIRClient
) -> None:
    """It counts with a parameter that is not FHIR's, which is ignored for who says that it may be."""
    lenient = SyncFHIRClient(demo.base, authorization=token, extra_headers={"Prefer": "handling=lenient"})

    found = [one.id for one in client.resources("Observation").limit(3).fetch_all()]

    assert len(found) > 3
    assert len(found) == len(set(found)) == lenient.resources("Observation").count()


def test_a_search_finds_by_name_and_includes(client: SyncFHIRClient) -> None:
    first = client.resources("Patient").search(name="lefevre").first()
    bundle = client.resources("Observation").search(patient="demo-p1").include("Observation", "patient").fetch_raw()

    assert first is not None
    assert first.id == "demo-p1"
    assert "demo-p1" in [entry.resource.id for entry in bundle.entry if entry.search.mode == "include"]


def test_a_record_is_saved_refreshed_and_deleted(client: SyncFHIRClient) -> None:
    made = person(client, "Py")
    made["gender"] = "female"
    made.save()
    again = client.reference("Patient", made.id).to_resource()

    assert (again.gender, again.meta.versionId) == ("female", "2")
    assert again.is_valid()
    assert made.refresh().meta.versionId == "2"
    made.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", made.id).to_resource()


def test_r_fhir_014_its_patch_changes_what_it_names_and_nothing_else(client: SyncFHIRClient) -> None:
    made = person(client, "Patched")

    made.patch(gender="female", birthDate=None)
    made.patch(name=[{"family": "Anew"}])

    again = client.reference("Patient", made.id).to_resource()
    assert (again.gender, again.name) == ("female", [{"family": "Anew"}])
    assert "birthDate" not in again
    assert again.meta.versionId == "3"


def test_a_json_patch_is_taken_too(demo: Demo, token: str, client: SyncFHIRClient) -> None:
    made = person(client, "Named")
    patching = SyncFHIRClient(
        demo.base, authorization=token, extra_headers={"Content-Type": "application/json-patch+json"}
    )

    operations: Any = [{"op": "add", "path": "/gender", "value": "other"}]
    told = patching.execute(f"Patient/{made.id}", method="patch", data=operations)

    assert told.gender == "other"


def test_a_batch_answers_entry_by_entry(client: SyncFHIRClient) -> None:
    entries = [
        {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "active": True}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
    ]
    bundle = client.resource("Bundle", type="batch", entry=entries)

    bundle.save()

    assert [entry["response"]["status"][:3] for entry in bundle["entry"]] == ["201", "404"]


def test_refusals_are_heard_as_what_they_are(demo: Demo, client: SyncFHIRClient) -> None:
    with pytest.raises(AuthorizationError):
        SyncFHIRClient(demo.base).resources("Patient").fetch()
    with pytest.raises(OperationOutcome):
        client.resource("Patient", gender="none of them").save()


@pytest.mark.anyio
async def test_asynchronously_too(demo: Demo, token: str) -> None:
    client = AsyncFHIRClient(demo.base, authorization=token)

    found = [one.id async for one in client.resources("Observation").limit(4)]
    await client.patch("Patient/demo-p8", active=True)

    assert len(found) == len(set(found)) > 4
    assert (await client.reference("Patient", "demo-p8").to_resource())["active"] is True
