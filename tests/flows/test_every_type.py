"""All of R4 through the running application: every type, and what few clients send, comes back equal.

R-FHIR-008, R-FHIR-011, R-FHIR-025.
"""

import json as plain_json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.data import read as definitions
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.bundles import batch
from tests.flows.loaded import comparable
from tests.flows.variants import NUMBERS, VARIANTS, observation
from tests.samples import consent, patient
from tests.unit.fhir.specimens import largest

pytestmark = pytest.mark.anyio

HERE = {
    "Patient/x": patient("Here", id="x"),
    "Consent/x": consent("x", id="x"),
    "Device/x": {"resourceType": "Device", "id": "x"},
}
"""Whom or what a specimen's Media and Consent are about; the photographs are allowed."""


SERVED: dict[str, Json] = {
    "Subscription": {
        "status": "off",
        "criteria": "Observation?status=final",
        "channel": {"type": "rest-hook", "endpoint": "https://hook.example.org/", "header": ["X-A: b"]},
    }
}
"""What of a type is asked beyond R4; and the server alone says why a subscription is in error."""


def fitting(type: str) -> Json:
    resource = {**largest(type), **SERVED.get(type, {})}
    if type == "Subscription":
        del resource["error"]
    return resource


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("types")
    async with running(mongo_uri, "test_types", data_dir) as inside:
        for resource in HERE.values():
            await inside.caller().store(resource)
        yield inside


@pytest.fixture
def clerk(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", "system/AuditEvent.crs")


async def there_and_back(clerk: Caller, resource: Json | str, type: str) -> Json:
    answer = await clerk.post(f"/fhir/{type}", resource)
    assert answer.status_code == 201, answer.text
    again = await clerk.get(f"/fhir/{type}/{read(answer)['id']}", Accept="application/fhir+json")
    assert again.content == answer.content
    found: Json = read(again)
    return found


@pytest.mark.parametrize("type", sorted(served_types() - {"AuditEvent"}))
async def test_r_fhir_025_a_resource_of_any_type_with_all_that_fits_comes_back_equal(clerk: Caller, type: str) -> None:
    resource = fitting(type)

    made = await there_and_back(clerk, resource, type)

    assert comparable(made) == comparable(resource)


@pytest.mark.parametrize("type", sorted(served_types() - {"AuditEvent"}))
async def test_r_fhir_011_any_type_is_updated_under_an_id_of_the_clients(clerk: Caller, type: str) -> None:
    resource = {**fitting(type), "id": "their-own", "language": "de"}

    first = await clerk.put(f"/fhir/{type}/their-own", resource)
    second = await clerk.put(f"/fhir/{type}/their-own", {**resource, "language": "fr"})

    assert (first.status_code, second.status_code) == (201, 200), second.text
    assert comparable(read(second)) == comparable({**resource, "language": "fr"})
    assert read(second)["meta"]["versionId"] == "2"


@pytest.mark.parametrize("type", sorted(definitions("refused_types")))
async def test_r_fhir_027_a_type_that_is_not_served_is_404_with_an_outcome(clerk: Caller, type: str) -> None:
    answer = await clerk.post(f"/fhir/{type}", {"resourceType": type})

    assert answer.status_code == 404
    [issue] = read(answer)["issue"]
    assert issue["code"] == "not-found"
    assert issue["diagnostics"].startswith(f"{type} is not served: its R4 shape differs from R4B (")


@pytest.mark.parametrize("type", ["Patients", "patient", "DomainResource", "Citation", "<b>", "type"])
async def test_r_fhir_027_a_type_that_r4_does_not_have_is_404_and_told_from_one_that_is_not_served(
    clerk: Caller, type: str
) -> None:
    answer = await clerk.post(f"/fhir/{type}", {"resourceType": type})

    assert answer.status_code == 404
    assert read(answer)["issue"][0]["diagnostics"] == "FHIR R4 has no resource type of this name."


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_r_fhir_027_an_entry_of_a_bundle_is_told_the_same(clerk: Caller, kind: str) -> None:
    for type, says in (("Evidence", "Evidence is not served"), ("Nothing", "FHIR R4 has no resource type")):
        answer = await clerk.post("/fhir", batch(kind, ("POST", type, {"resourceType": type})))

        told = read(answer)["entry"][0]["response"]["outcome"] if kind == "batch" else read(answer)
        assert told["issue"][0]["diagnostics"].startswith(says)


async def test_r_fhir_027_so_is_one_that_holds_such_a_resource(clerk: Caller) -> None:
    for type, says in (("Evidence", "Evidence is not served"), ("Nothing", "FHIR R4 has no resource type")):
        answer = await clerk.post(
            "/fhir/Bundle",
            {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": type}}]},
        )

        assert answer.status_code == 422
        assert read(answer)["issue"][0]["diagnostics"].startswith(says)


@pytest.mark.parametrize("name", VARIANTS)
async def test_r_fhir_025_what_few_clients_send_comes_back_equal(clerk: Caller, name: str) -> None:
    resource = VARIANTS[name]

    made = await there_and_back(clerk, resource, resource["resourceType"])

    assert comparable(made) == comparable(resource)


@pytest.mark.parametrize("number", NUMBERS)
async def test_r_fhir_025_a_decimal_keeps_its_text(clerk: Caller, number: str) -> None:
    text = json.encode(observation(valueQuantity={"value": "@"})).decode().replace('"@"', number)

    answer = await clerk.post("/fhir/Observation", text)

    assert answer.status_code == 201, answer.text
    assert f'"valueQuantity":{{"value":{number}}}' in answer.text


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_r_fhir_025_escapes_are_the_characters_that_they_stand_for(clerk: Caller, *, ascii_only: bool) -> None:
    resource = VARIANTS["texts of every script"]
    text = plain_json.dumps(resource, ensure_ascii=ascii_only, indent=3).replace("/", "\\/")

    made = await there_and_back(clerk, text, "Patient")

    assert comparable(made) == comparable(resource)


async def test_r_fhir_025_a_patch_elsewhere_alters_no_number(clerk: Caller) -> None:
    components: list[Any] = [{"code": {"text": number}, "valueQuantity": {"value": "@"}} for number in NUMBERS]
    text = json.encode(observation(component=components)).decode()
    for number in NUMBERS:
        text = text.replace('"@"', number, 1)
    made = read(await clerk.post("/fhir/Observation", text))
    patch = b'[{"op":"replace","path":"/status","value":"amended"}]'

    answer = await clerk.ask(
        "PATCH", f"/fhir/Observation/{made['id']}", patch, Content_Type="application/json-patch+json"
    )

    assert answer.status_code == 200, answer.text
    assert comparable(read(answer)) == comparable({**json.decode(text.encode()), "status": "amended"})
