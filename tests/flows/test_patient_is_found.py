"""Journey 1: real bundles go in as transactions, read back equal, and searches agree with a look at the same data."""

import asyncio
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from urllib.parse import quote, urlencode

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.loaded import Loaded, comparable, everything, keys_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def clerk(patients_clinic: InProcess) -> Caller:
    return patients_clinic.caller()


@pytest.fixture(scope="module")
def people(loaded: Sequence[Loaded]) -> dict[str, Json]:
    return {key: resource for one in loaded for key, resource in one.of_type("Patient").items()}


@pytest.fixture(scope="module")
def observations(loaded: Sequence[Loaded]) -> dict[str, Json]:
    return {key: resource for one in loaded for key, resource in one.of_type("Observation").items()}


async def found(clerk: Caller, path: str) -> list[str]:
    return keys_of(await everything(clerk, path))


def those(resources: dict[str, Json], wanted: Callable[[Json], bool]) -> list[str]:
    return sorted(key for key, resource in resources.items() if wanted(resource))


def folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def words(person: Json) -> Iterator[str]:
    for name in person["name"]:
        yield from (name["family"], *name["given"], *name.get("prefix", []))


def called(person: Json, query: str) -> bool:
    return any(folded(word).startswith(folded(query)) for word in words(person))


def born(person: Json, fits: Callable[[str, str], bool], query: str) -> bool:
    return fits(person["birthDate"], query)


def is_about(observation: Json, key: str) -> bool:
    return bool(observation["subject"]["reference"] == key)


async def test_r_fhir_025_every_resource_of_a_transaction_reads_back_equal(
    clerk: Caller, loaded: Sequence[Loaded]
) -> None:
    """By a batch, for speed; what a batch gives is what a read gives, as the next test sees."""
    expected = {key: resource for one in loaded for key, resource in one.resources.items()}
    got: dict[str, Json] = {}
    for some in in_parts(list(expected), 200):
        answer = await clerk.post("/fhir", asking_for(some))
        assert answer.status_code == 200, answer.text
        got |= dict(zip(some, (entry["resource"] for entry in read(answer)["entry"]), strict=True))

    assert [key for key in expected if comparable(got[key]) != comparable(expected[key])] == []
    assert {f"{one['resourceType']}/{one['id']}" for one in got.values()} == set(expected)
    assert all(one["meta"]["versionId"] == "1" for one in got.values())


async def test_a_read_gives_what_a_batch_gives(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    keys = list(loaded[0].resources)
    batch = read(await clerk.post("/fhir", asking_for(keys)))

    answers = await asyncio.gather(*map(clerk.get, (f"/fhir/{key}" for key in keys)))

    assert [read(answer) for answer in answers] == [entry["resource"] for entry in batch["entry"]]


def asking_for(keys: list[str]) -> Json:
    requests = [{"request": {"method": "GET", "url": key}} for key in keys]
    return {"resourceType": "Bundle", "type": "batch", "entry": requests}


def in_parts(keys: list[str], size: int) -> Iterator[list[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))


async def test_no_temporary_reference_is_left(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    claims = [key for one in loaded for key in one.of_type("Claim")]

    answers = await asyncio.gather(*(clerk.get(f"/fhir/{key}") for key in claims[:40]))

    assert not [answer for answer in answers if b"urn:uuid" in answer.content]


async def test_r_fhir_051_a_name_is_found_by_its_beginning_whatever_its_case_and_accents(
    clerk: Caller, people: dict[str, Json]
) -> None:
    queries = {word[:length] for person in people.values() for word in words(person) for length in (1, 2, 3, 5, 20)}
    queries |= {word.upper() for person in people.values() for word in words(person)}
    queries |= {"Müller", "MÜELLER", "Bécker", "zzz", "ecker", "er"}

    for query in sorted(queries):
        assert await found(clerk, f"/fhir/Patient?name={quote(query)}") == those(
            people, partial(called, query=query)
        ), query


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("", lambda born, asked: born.startswith(asked)),
        ("ne", lambda born, asked: not born.startswith(asked)),
        ("ge", lambda born, asked: born >= asked),
        ("gt", lambda born, asked: born[: len(asked)] > asked),
        ("lt", lambda born, asked: born < asked),
        ("le", lambda born, asked: born[: len(asked)] <= asked),
    ],
)
async def test_a_birth_date_is_found_by_day_month_year_and_range(
    clerk: Caller, people: dict[str, Json], prefix: str, fits: Callable[[str, str], bool]
) -> None:
    days = sorted(person["birthDate"] for person in people.values())
    queries = {day[:length] for day in days for length in (4, 7, 10)} | {"1989-07-26", "1900", "2100-01"}

    for query in sorted(queries):
        assert await found(clerk, f"/fhir/Patient?birthdate={prefix}{query}") == those(
            people, partial(born, fits=fits, query=query)
        ), query


async def test_r_fhir_046_an_identifier_is_found_alone_and_with_its_system(
    clerk: Caller, people: dict[str, Json]
) -> None:
    for key, person in people.items():
        for identifier in person["identifier"]:
            value, system = identifier["value"], identifier["system"]
            assert await found(clerk, f"/fhir/Patient?identifier={quote(value)}") == [key]
            assert await found(clerk, f"/fhir/Patient?identifier={quote(f'{system}|{value}', safe='')}") == [key]
            assert await found(clerk, f"/fhir/Patient?identifier={quote(f'|{value}', safe='')}") == []
            assert await found(clerk, f"/fhir/Patient?identifier={quote(f'urn:other|{value}', safe='')}") == []
            assert await found(clerk, f"/fhir/Patient?identifier={quote(value[:-1])}") == []


async def test_ids_are_found_alone_and_together(clerk: Caller, people: dict[str, Json]) -> None:
    ids = [key.removeprefix("Patient/") for key in people]

    assert await found(clerk, f"/fhir/Patient?_id={ids[0]}") == [f"Patient/{ids[0]}"]
    assert await found(clerk, f"/fhir/Patient?_id={','.join(ids)}&_count=3") == sorted(people)
    assert await found(clerk, f"/fhir/Patient?_id={ids[0]}&_id={ids[1]}") == []
    assert await found(clerk, "/fhir/Patient?_id=nobody") == []


async def test_r_fhir_052_conditions_are_all_to_hold_and_alternatives_one_of_them(
    clerk: Caller, people: dict[str, Json]
) -> None:
    query = "/fhir/Patient?name=Becker,Welch&birthdate=lt2000"

    assert await found(clerk, query) == those(
        people,
        lambda person: (called(person, "Becker") or called(person, "Welch")) and person["birthDate"] < "2000",
    )


async def test_observations_of_one_patient_are_all_found_and_no_other(
    clerk: Caller, people: dict[str, Json], observations: dict[str, Json]
) -> None:
    for key in people:
        mine = those(observations, partial(is_about, key=key))

        assert await found(clerk, f"/fhir/Observation?subject={key}&_count=50") == mine
        assert await found(clerk, f"/fhir/Observation?patient={key.removeprefix('Patient/')}&_count=200") == mine


async def test_r_fhir_047_observations_are_found_by_the_absolute_address_of_their_patient(
    clerk: Caller, patients_clinic: InProcess, people: dict[str, Json], observations: dict[str, Json]
) -> None:
    key = next(iter(people))
    absolute = quote(f"{patients_clinic.base}/{key}", safe="")

    assert await found(clerk, f"/fhir/Observation?subject={absolute}&_count=200") == those(
        observations, partial(is_about, key=key)
    )


async def test_r_fhir_040_a_search_by_post_finds_what_the_same_by_get_finds(
    clerk: Caller, people: dict[str, Json]
) -> None:
    for query in ({"name": "Becker"}, {"birthdate": "ge1990", "_count": "2"}, {"identifier": "999-19-9834"}):
        text = urlencode(query)
        by_get = read(await clerk.get(f"/fhir/Patient?{text}"))
        form = "application/x-www-form-urlencoded"

        by_post = await clerk.post("/fhir/Patient/_search", text, Content_Type=form)
        half = await clerk.post(f"/fhir/Patient/_search?{text}")

        assert by_post.status_code == half.status_code == 200
        assert keys_of([entry["resource"] for entry in read(by_post).get("entry", [])]) == keys_of(
            [entry["resource"] for entry in by_get.get("entry", [])]
        )
        assert read(half).get("entry") == by_get.get("entry")
        assert read(by_post).get("total") == by_get.get("total")


async def test_r_fhir_057_totals_are_exact_where_they_are_given(
    clerk: Caller, people: dict[str, Json], observations: dict[str, Json]
) -> None:
    counted = read(await clerk.get("/fhir/Patient?_summary=count"))
    accurate = read(await clerk.get("/fhir/Observation?_total=accurate&_count=5"))

    assert counted["total"] == len(people)
    assert "entry" not in counted
    assert accurate["total"] == len(observations)
    assert len(accurate["entry"]) == 5


async def test_r_fhir_056_pages_hold_each_match_once(clerk: Caller, observations: dict[str, Json]) -> None:
    pages = await everything(clerk, "/fhir/Observation?_count=41")

    assert keys_of(pages) == sorted(observations)
