"""Resources that others published go through the running application: they come back equal, or are known to be refused.

R-FHIR-009, R-FHIR-025. Nothing is left out and nothing is sampled: all that lies beside the checkout.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.loaded import comparable
from tests.known_failures import Refused, known_failures, refused
from tests.samples import patient
from tests.unit.fhir.real_input import examples, guide

pytestmark = pytest.mark.anyio

COLLECTIONS = ("hl7-r4-examples", "ihe-guides")
CANNOT_BE_MISSING = {"Media": "subject", "Consent": "patient"}
"""Whom they name must be there before them; any other reference may lead nowhere yet."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A resource, the answer to it and, where it was taken, what a read gives.

    `interactions`: what the server says that it does with resources of this type.
    """

    resource: Json
    answer: Response
    read: Response | None
    interactions: frozenset[str]


def resources(collection: str) -> dict[str, Json]:
    if collection == "hl7-r4-examples":
        return examples()
    found = [*guide("ihe-pcf"), *guide("ihe-balp")]
    return {
        f"{each['resourceType']}/{each['id']}": each for each in found if each["resourceType"] != "StructureDefinition"
    }


@pytest.fixture(scope="module")
async def published(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Sent]]:
    """Each collection in a clinic of its own, since both have a `Patient/example`."""
    found = {}
    for collection in COLLECTIONS:
        folder: Path = tmp_path_factory.mktemp("published")
        async with running(mongo_uri, f"test_{collection.replace('-', '_')}", folder) as clinic:
            found[collection] = await sent(clinic, resources(collection))
    return found


async def sent(clinic: InProcess, named: Mapping[str, Json]) -> Mapping[str, Sent]:
    caller = clinic.caller("system/*.cruds", "system/AuditEvent.crs")
    [rest] = read(await caller.get("/fhir/metadata"))["rest"]
    said = {each["type"]: frozenset(one["code"] for one in each["interaction"]) for each in rest["resource"]}
    for each in needed(named.values()):
        await caller.store(each)
    found = {}
    # Some of the consents refuse that the rest is shown, and that is what then happens.
    for name, resource in sorted(named.items(), key=lambda each: each[1]["resourceType"] == "Consent"):
        answer = await send(caller, resource)
        place = answer.headers.get("location", "").removeprefix(clinic.clinic.settings.base_url)
        kept = await caller.get(place) if answer.is_success else None
        found[name] = Sent(resource, answer, kept, said[resource["resourceType"]])
    return {name: found[name] for name in named}


def needed(given: Iterable[Json]) -> Iterator[Json]:
    """Those whom a Media or Consent is about."""
    people = {
        each[element]["reference"].removeprefix("Patient/")
        for each in given
        if (element := CANNOT_BE_MISSING.get(each["resourceType"])) in each
    }
    yield from (patient("Needed", id=id) for id in sorted(people))


async def send(caller: Caller, resource: Json) -> Response:
    """Under its own id, but for what has none, and for events, which are only ever added."""
    type = resource["resourceType"]
    if "id" in resource and type != "AuditEvent":
        return await caller.put(f"/fhir/{type}/{resource['id']}", resource)
    return await caller.post(f"/fhir/{type}", resource)


def refusals(published: Mapping[str, Sent]) -> dict[str, Refused]:
    answers = {name: each.answer for name, each in published.items()}
    return {name: refused(each.status_code, read(each)) for name, each in answers.items() if not each.is_success}


def not_taken(published: Mapping[str, Sent]) -> dict[str, Refused]:
    """What the server does not say that it creates: AuditEvents, while it writes its log alone."""
    named = [name for name, each in published.items() if "create" not in each.interactions]
    return dict.fromkeys(named, Refused(405, frozenset({"not-supported"})))


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_r_fhir_025_what_is_taken_comes_back_equal(
    published: Mapping[str, Mapping[str, Sent]], collection: str
) -> None:
    differing = [
        name
        for name, each in published[collection].items()
        if each.read is not None and comparable(read(each.read)) != comparable(each.resource)
    ]

    assert differing == []


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_r_fhir_011_what_is_put_keeps_its_id(
    published: Mapping[str, Mapping[str, Sent]], collection: str
) -> None:
    put = [each for each in published[collection].values() if each.answer.request.method == "PUT" and each.read]

    assert len(put) > 50
    assert [each.resource["id"] for each in put] == [read(each.read)["id"] for each in put if each.read]


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_r_fhir_009_exactly_what_is_known_to_break_a_rule_is_refused_and_for_that_reason(
    published: Mapping[str, Mapping[str, Sent]], collection: str
) -> None:
    assert refusals(published[collection]) == {**known_failures(collection), **not_taken(published[collection])}
