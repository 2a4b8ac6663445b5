"""Photos are found: of one patient, by view and time, by whatever tells them apart, and without waiting."""

from collections.abc import AsyncIterator
from statistics import quantiles
from time import perf_counter

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

VIEWS = {"frontal": "260427000", "left": "260421001"}
SNOMED = "http://snomed.info/sct"
PEOPLE, VISITS = 4, 3
BUDGET = 1.0
"""Seconds for nineteen of twenty searches, whatever else the machine does; alone they take hundredths."""


def concept(code: str) -> Json:
    return {"coding": [{"system": SNOMED, "code": code}]}


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "test_photos_found", tmp_path_factory.mktemp("found")) as inside:
        yield inside


@pytest.fixture(scope="module")
async def doctor(clinic: InProcess) -> Caller:
    """With a series of each patient: two views at each of three visits, ordered by a ServiceRequest."""
    caller = clinic.caller()
    for person in (f"person{number}" for number in range(PEOPLE)):
        await caller.store({**patient(), "id": person})
        await caller.store(consent(person, dateTime="2025-01-02"))
        await caller.store(
            {
                "resourceType": "ServiceRequest",
                "id": f"order-{person}",
                "status": "active",
                "intent": "order",
                "code": concept("392021009"),
                "subject": {"reference": f"Patient/{person}"},
            }
        )
        for visit in range(1, VISITS + 1):
            for view, code in VIEWS.items():
                await caller.store(photo(person, visit, view, code))
    return caller


def photo(person: str, visit: int, view: str, code: str) -> Json:
    return media(
        person,
        jpeg(plain=True),
        id=f"{person}-{visit}-{view}",
        identifier=[{"system": "urn:photos", "value": f"{code}.{visit}{person[-1]}"}],
        createdDateTime=f"2025-0{visit}-10T09:00:00Z",
        view=concept(code),
        bodySite=concept("69536005"),
        basedOn=[{"reference": f"ServiceRequest/order-{person}"}],
    )


async def ids(caller: Caller, path: str) -> list[str]:
    return sorted(each["resource"]["id"] for each in read(await caller.get(path)).get("entry", ()))


async def test_t66_a_series_is_put_together_by_view_and_time(doctor: Caller) -> None:
    asked = f"/fhir/Media?patient=person1&view={SNOMED}|{VIEWS['left']}&_sort=created"

    series = read(await doctor.get(asked))
    before = await ids(doctor, f"{asked}&created=lt2025-02")
    day = await ids(doctor, "/fhir/Media?patient=person1&created=2025-02-10")

    assert [each["resource"]["id"] for each in series["entry"]] == [f"person1-{visit}-left" for visit in (1, 2, 3)]
    assert before == ["person1-1-left"]
    assert day == ["person1-2-frontal", "person1-2-left"]


async def test_t50_t67_every_photo_lies_in_the_record_of_its_patient(doctor: Caller) -> None:
    found = await ids(doctor, "/fhir/Patient/person2/Media")

    assert len(found) == VISITS * len(VIEWS)
    assert {id.partition("-")[0] for id in found} == {"person2"}


async def test_t67_a_photo_of_nobody_does_not_get_into_the_record(doctor: Caller, clinic: InProcess) -> None:
    orphan = photo("person1", 1, "frontal", VIEWS["frontal"])
    del orphan["subject"], orphan["id"]

    answer = await clinic.caller("user/*.cruds").post("/fhir/Media", orphan)

    assert answer.status_code in {403, 422}
    assert len(await ids(doctor, "/fhir/Media?_count=100")) == PEOPLE * VISITS * len(VIEWS)


@pytest.mark.parametrize(
    "query",
    [
        f"identifier=urn:photos|{VIEWS['left']}.23",
        f"patient=person3&created=2025-02&site=69536005&view={VIEWS['left']}",
        f"based-on=ServiceRequest/order-person3&created=2025-02&view={VIEWS['left']}",
        f"based-on:ServiceRequest.code=392021009&patient=person3&created=2025-02&view={VIEWS['left']}",
    ],
)
async def test_t68_one_query_finds_it_by_identifier_time_site_view_or_procedure(doctor: Caller, query: str) -> None:
    assert await ids(doctor, f"/fhir/Media?{query}") == ["person3-2-left"]


async def test_t63_t102_whoever_looks_for_photos_does_not_wait(doctor: Caller) -> None:
    taken = []
    for number in range(40):
        before = perf_counter()
        found = await ids(doctor, f"/fhir/Media?patient=person{number % PEOPLE}")
        taken.append(perf_counter() - before)
        assert len(found) == VISITS * len(VIEWS)

    assert quantiles(taken, n=20)[-1] < BUDGET
