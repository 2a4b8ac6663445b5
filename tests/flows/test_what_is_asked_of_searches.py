"""What users of other servers ask for in vain, on the running application: each complaint, by its number."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from httpx2 import ASGITransport, AsyncClient

from fhir_server.app import build_app
from fhir_server.kernel.json import Json
from fhir_server.store.collections import INDEXES
from tests.clinics import Caller, InProcess, read, running
from tests.samples import patient

pytestmark = pytest.mark.anyio

UCUM = "http://unitsofmeasure.org"


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "test_asked", tmp_path_factory.mktemp("asked")) as inside:
        yield inside


@pytest.fixture(scope="module")
async def clerk(clinic: InProcess) -> Caller:
    caller = clinic.caller()
    people = (("ann", "Berg", "1980-05-01"), ("ben", "Alm", "1975-01-01"), ("cid", "Berg", "1960-02-02"))
    for id, family, born in people:
        await caller.store({**patient(family), "id": id, "birthDate": born})
    for id, of, weight, pressures in (
        ("o1", "ann", 61, (118, 76)),
        ("o2", "ben", 92, (150, 95)),
        ("o3", "cid", 75, ()),
    ):
        await caller.store(observation(id, of, weight, pressures))
    for id, status in (("free", "free"), ("busy", "busy")):
        await caller.store({"resourceType": "Practitioner", "id": id, "name": [{"family": f"Doctor{id}"}]})
        actor = [{"reference": f"Practitioner/{id}"}]
        await caller.store({"resourceType": "Schedule", "id": f"of-{id}", "actor": actor})
        await caller.store(
            {
                "resourceType": "Slot",
                "id": f"slot-{id}",
                "schedule": {"reference": f"Schedule/of-{id}"},
                "status": status,
                "start": "2026-01-05T09:00:00Z",
                "end": "2026-01-05T09:30:00Z",
            }
        )
    return caller


def observation(id: str, of: str, weight: int, pressures: tuple[int, ...]) -> Json:
    components = [
        {"code": coded(code), "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"}}
        for code, value in zip(("8480-6", "8462-4"), pressures, strict=False)
    ]
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": coded("29463-7"),
        "subject": {"reference": f"Patient/{of}"},
        "valueQuantity": {"value": weight, "system": UCUM, "code": "kg"},
        **({"component": components} if components else {}),
    }


def coded(code: str) -> Json:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


async def found(caller: Caller, path: str) -> list[str]:
    answer = await caller.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    return [each["resource"]["id"] for each in read(answer).get("entry", ())]


async def test_ask_2_a_misspelled_parameter_does_not_return_the_whole_table(clerk: Caller) -> None:
    strict = await clerk.get("/fhir/Patient?famly=Berg")
    lenient = await clerk.get("/fhir/Patient?famly=Berg&family=Berg", Prefer="handling=lenient")

    assert strict.status_code == 400
    assert "birthdate" in strict.text
    assert "famly" not in read(lenient)["link"][0]["url"]
    assert len(read(lenient)["entry"]) >= 2


@pytest.mark.parametrize(
    ("composite", "expected"),
    [
        ("code-value-quantity=29463-7$gt80", ["o2"]),
        (f"code-value-quantity=http://loinc.org|29463-7$lt70|{UCUM}|kg", ["o1"]),
        ("component-code-value-quantity=8480-6$ge140", ["o2"]),
        ("component-code-value-quantity=8462-4$ge118", []),
    ],
)
async def test_ask_10_composites_hold_of_what_stands_together(
    clerk: Caller, composite: str, expected: list[str]
) -> None:
    assert await found(clerk, f"Observation?{quote(composite, safe='=&')}") == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Patient?_sort=family,birthdate", ["ben", "cid", "ann"]),
        ("Patient?_sort=-family,-birthdate", ["ann", "cid", "ben"]),
        ("Observation?_sort=-value-quantity", ["o2", "o3", "o1"]),
        ("Observation?_sort=subject", ["o1", "o2", "o3"]),
    ],
)
async def test_ask_11_any_parameter_with_an_order_sorts_and_several_do(
    clerk: Caller, asked: str, expected: list[str]
) -> None:
    assert [id for id in await found(clerk, asked) if id in expected] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Observation?subject.family=berg", ["o1", "o3"]),
        ("Practitioner?_has:Schedule:actor:_has:Slot:schedule:status=free", ["free"]),
        ("Slot?schedule.actor:Practitioner.family=doctorbusy", ["slot-busy"]),
        ("Patient?_has:Observation:subject:code-value-quantity=29463-7%24gt80", ["ben"]),
        ("Schedule?_has:Slot:schedule:schedule.actor:Practitioner.family=doctorfree", ["of-free"]),
    ],
)
async def test_ask_12_chains_need_no_type_and_go_through_each_other(
    clerk: Caller, asked: str, expected: list[str]
) -> None:
    assert await found(clerk, asked) == expected


@asynccontextmanager
async def another_process(clinic: InProcess, caller: Caller) -> AsyncIterator[Caller]:
    """A server that was started just now, on the same database."""
    app = build_app(clinic.clinic.settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url=clinic.clinic.settings.base_url, timeout=60) as http,
    ):
        yield Caller(http, caller.headers)


async def test_ask_16_a_page_link_outlives_the_server_and_what_is_inserted_meanwhile(
    clinic: InProcess, clerk: Caller
) -> None:
    everyone = await found(clerk, "Practitioner?_count=100")
    first = read(await clerk.get("/fhir/Practitioner?_count=1"))
    [link] = [each["url"] for each in first["link"] if each["relation"] == "next"]

    await clerk.store({"resourceType": "Practitioner", "id": "late", "name": [{"family": "Doctorlate"}]})
    async with another_process(clinic, clerk) as other:
        rest = [first["entry"][0]["resource"]["id"]]
        while link:
            page = read(await other.get(link))
            rest += [each["resource"]["id"] for each in page["entry"]]
            link = next((each["url"] for each in page["link"] if each["relation"] == "next"), "")

    assert rest == [*everyone, "late"]


async def test_ask_17_the_indexes_are_there_after_the_first_start(clinic: InProcess) -> None:
    database = clinic.mongo[clinic.database]

    for collection, wanted in INDEXES.items():
        there = await database[collection].index_information()
        assert {index.document["name"] for index in wanted} <= there.keys(), collection
    assert "tokens_seq" in await database["resources"].index_information()


async def test_ask_20_what_was_written_is_found_at_once_and_by_what_it_says_now(clerk: Caller) -> None:
    await clerk.store({**patient("Before"), "id": "renamed"})
    assert await found(clerk, "Patient?family=before") == ["renamed"]

    await clerk.store({**patient("After"), "id": "renamed"})

    assert await found(clerk, "Patient?family=before") == []
    assert await found(clerk, "Patient?family=after") == ["renamed"]
    await clerk.delete("/fhir/Patient/renamed")
    assert await found(clerk, "Patient?family=after") == []
