"""Search as a client sees it: who is found among a few whom one can overlook, line by line of the requirements."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read, running

pytestmark = pytest.mark.anyio

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def person(id: str, family: str, given: str, born: str, **more: object) -> Json:
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"family": family, "given": [given]}],
        "birthDate": born,
        **more,
    }


PEOPLE = [
    person(
        "ada",
        "Çelik-Gül",
        "Ada",
        "1980-05-02",
        gender="female",
        active=True,
        identifier=[{"system": "urn:a", "value": "7"}],
    ),
    person("bo", "Celik", "Bo", "1980-05", gender="male", identifier=[{"value": "7"}]),
    person("cy", "O'Brien", "Cy", "1980", active=False, identifier=[{"system": "urn:b", "value": "8"}]),
    person(
        "di",
        "van der Berg",
        "Di, Ana",
        "1975-12-31",
        gender="other",
        meta={"tag": [{"system": "urn:t", "code": "x"}], "profile": ["urn:p"]},
    ),
]
SEEN: list[tuple[str, Json, Json, float, str]] = [
    ("o1", {"reference": "Patient/ada"}, {"effectiveDateTime": "2013-01-14"}, 5.4, "8302-2"),
    ("o2", {"reference": "Patient/bo"}, {"effectiveDateTime": "2013-01-14T10:00:00+01:00"}, 5.40, "8302-2"),
    ("o3", {"reference": "Patient/bo"}, {"effectivePeriod": {"start": "2013-03-01"}}, 5.5, "3141-9"),
    (
        "o4",
        {"reference": "https://elsewhere.example/fhir/Patient/ada"},
        {"effectivePeriod": {"end": "2012"}},
        100,
        "3141-9",
    ),
]


def observation(id: str, subject: Json, when: Json, value: float, code: str) -> Json:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}, {"system": "urn:own", "code": f"own-{id}"}]},
        "subject": subject,
        "valueQuantity": {"value": value, "unit": "cm", "system": UCUM, "code": "cm"},
        **when,
    }


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder: Path = tmp_path_factory.mktemp("searched")
    async with running(mongo_uri, "test_searched", folder) as inside:
        for resource in [*PEOPLE, *(observation(*each) for each in SEEN)]:
            await inside.caller().store(resource)
        yield inside


@pytest.fixture
def clerk(clinic: InProcess) -> Caller:
    return clinic.caller()


async def found(clerk: Caller, path: str) -> str:
    """The ids of what is found, sorted, in one string; the status where it is no 200."""
    answer = await clerk.get(f"/fhir/{path}")
    if answer.status_code != 200:
        return str(answer.status_code)
    return " ".join(sorted(entry["resource"]["id"] for entry in read(answer).get("entry", [])))


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        pytest.param(path, ids, id=f"R-FHIR-{line} {path}")
        for line, path, ids in [
            ("045", "Patient?birthdate=yesterday", "400"),
            ("045", "Patient?birthdate=xx1980", "400"),
            ("045", "Observation?value-quantity=tall", "400"),
            ("045", "Patient?name=", "ada bo cy di"),
            ("045", "Patient?identifier=nobody", ""),
            ("046", "Patient?identifier=7", "ada bo"),
            ("046", "Patient?identifier=urn:a|7", "ada"),
            ("046", "Patient?identifier=|7", "bo"),
            ("046", "Patient?identifier=urn:b|", "cy"),
            ("046", "Observation?code=8302-2", "o1 o2"),
            ("046", f"Observation?code={LOINC}|3141-9", "o3 o4"),
            ("046", "Observation?code=own-o4", "o4"),
            ("046", "Patient?gender:not=male", "ada cy di"),
            ("047", "Observation?patient=ada", "o1"),
            ("047", "Observation?patient=Patient/ada", "o1"),
            ("047", "Observation?subject=http://127.0.0.1:8000/fhir/Patient/ada", "o1"),
            ("047", "Observation?subject=https://elsewhere.example/fhir/Patient/ada", "o4"),
            ("048", "Observation?subject:Patient=bo", "o2 o3"),
            ("049", "Patient?birthdate=1980", "ada bo cy"),
            ("049", "Patient?birthdate=1980-05", "ada bo"),
            ("049", "Patient?birthdate=1980-05-02", "ada"),
            ("049", "Patient?birthdate=ne1980", "di"),
            ("049", "Patient?birthdate=lt1980", "di"),
            ("049", "Patient?birthdate=ge1980-05", "ada bo cy"),
            ("049", "Patient?birthdate=sa1975", "ada bo cy"),
            ("049", "Patient?birthdate=eb1980-05", "di"),
            ("049", "Observation?date=2013-01-14T10%3A00:00%2B01:00", "o2"),
            ("049", "Observation?date=2013-01-14T09:00:00Z", "o2"),
            ("050", "Observation?date=ge2013-03-14", "o3"),
            ("050", "Observation?date=lt2013-01-14T10:00:00Z", "o1 o2 o4"),
            ("051", "Patient?name=celik", "ada bo"),
            ("051", "Patient?name=GUL", "ada"),
            ("051", "Patient?family=berg", "di"),
            ("051", "Patient?family:exact=Celik", "bo"),
            ("051", "Patient?family:exact=celik", ""),
            ("051", "Patient?_id=ada,bo,di&family:contains=er", "di"),
            ("052", "Patient?gender=male,female", "ada bo"),
            ("052", "Patient?gender=female&family=celik", "ada"),
            ("052", "Patient?birthdate=ge1976&birthdate=lt1980-05-02", "bo cy"),
            ("052", "Patient?given=Di%5C, Ana", "di"),
            ("052", "Patient?given=Di, Ana", "di"),
            ("053", "Observation?value-quantity=5.4", "o1 o2"),
            ("053", "Observation?value-quantity=5", "o1 o2"),
            ("053", f"Observation?value-quantity=gt5.4|{UCUM}|cm", "o3 o4"),
            ("053", "Observation?value-quantity=5.4||cm", "o1 o2"),
            ("053", f"Observation?value-quantity=5.4|{UCUM}|mm", ""),
            ("053", "Observation?value-quantity=1e2", "o4"),
            ("054", "Patient?_id=ada", "ada"),
            ("054", "Patient?_id=ADA", ""),
            ("054", "Patient?_tag=urn:t|x", "di"),
            ("054", "Patient?_profile=urn:p", "di"),
            ("054", "Patient?_lastUpdated=lt2020", ""),
            ("054", "Patient?_lastUpdated=ge2020", "ada bo cy di"),
            ("062", "Patient?gender:missing=true", "cy"),
            ("062", "Patient?active:missing=false", "ada cy"),
        ]
    ],
)
async def test_r_fhir_045_046_047_048_049_050_051_052_053_054_062_who_is_found(
    clerk: Caller, path: str, ids: str
) -> None:
    assert await found(clerk, path) == ids


async def test_r_fhir_042_the_self_link_lists_what_was_used_and_nothing_else(clinic: InProcess, clerk: Caller) -> None:
    asked = "Patient?name=celik&shoe=44&_count=5&gender="

    answer = await clerk.get(f"/fhir/{asked}", Prefer="handling=lenient")

    links = {link["relation"]: link["url"] for link in read(answer)["link"]}
    assert links == {"self": f"{clinic.base}/Patient?name=celik&_count=5"}


async def test_r_fhir_043_an_unknown_parameter_is_refused_or_by_wish_left_out(clerk: Caller) -> None:
    strict = await clerk.get("/fhir/Patient?shoe=44")
    lenient = await clerk.get("/fhir/Patient?shoe=44", Prefer="handling=lenient")

    assert (strict.status_code, lenient.status_code) == (400, 200)
    assert read(strict)["issue"][0]["severity"] == "error"
    assert read(lenient)["total"] == len(PEOPLE)


@pytest.mark.parametrize("prefer", ["handling=strict", "handling=lenient"])
async def test_r_fhir_044_an_unknown_modifier_is_always_refused(clerk: Caller, prefer: str) -> None:
    answer = await clerk.get("/fhir/Patient?name:sounds-like=celik", Prefer=prefer)

    assert answer.status_code == 400
    assert read(answer)["resourceType"] == "OperationOutcome"


async def test_r_fhir_040_a_form_and_the_address_count_together(clerk: Caller) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    by_get = read(await clerk.get("/fhir/Patient?family=celik&gender=male"))
    by_form = read(await clerk.post("/fhir/Patient/_search", "family=celik&gender=male", **form))
    by_both = read(await clerk.post("/fhir/Patient/_search?gender=male", "family=celik", **form))

    assert by_get["total"] == by_form["total"] == by_both["total"] == 1
    assert by_get["entry"] == by_form["entry"] == by_both["entry"]


@pytest.mark.parametrize("asked", ["_count=0", "_summary=count"])
async def test_r_fhir_055_a_count_of_none_is_the_total_alone(clerk: Caller, asked: str) -> None:
    bundle = read(await clerk.get(f"/fhir/Patient?{asked}"))

    assert bundle["total"] == len(PEOPLE)
    assert "entry" not in bundle
    assert [link["relation"] for link in bundle["link"]] == ["self"]


async def test_r_fhir_055_056_pages_keep_their_size_and_give_each_match_once(clinic: InProcess, clerk: Caller) -> None:
    path, sizes, ids = "/fhir/Patient?_count=3", [], []
    while path:
        page = read(await clerk.get(path))
        sizes.append(len(page["entry"]))
        ids += [entry["resource"]["id"] for entry in page["entry"]]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        assert path == "" or path.startswith(clinic.base)

    assert sizes == [3, 1]
    assert sorted(ids) == ["ada", "bo", "cy", "di"]


async def test_r_fhir_056_a_page_link_is_no_use_to_another_caller(clinic: InProcess, clerk: Caller) -> None:
    page = read(await clerk.get("/fhir/Patient?_count=3"))
    [link] = [link["url"] for link in page["link"] if link["relation"] == "next"]

    other = await clinic.caller("patient/Patient.rs", patient="ada").get(link)

    assert other.status_code in {400, 403, 404}
    assert (await clinic.stranger.get(link)).status_code == 401


@pytest.mark.parametrize("order", ["_lastUpdated", "-_lastUpdated"])
async def test_r_fhir_060_the_order_is_as_asked_and_stands_in_the_link(clerk: Caller, order: str) -> None:
    bundle = read(await clerk.get(f"/fhir/Patient?_sort={order}"))

    ids = [entry["resource"]["id"] for entry in bundle["entry"]]
    assert ids == (["di", "cy", "bo", "ada"] if order.startswith("-") else ["ada", "bo", "cy", "di"])
    assert f"_sort={order}" in bundle["link"][0]["url"]


@pytest.mark.parametrize(
    "query",
    [
        "name[$ne]=x",
        "$where=1",
        "name=$ne",
        "name=.*",
        'name={"$gt":""}',
        "identifier=^7",
        "_id[$regex]=.*",
        "gender:$exists=true",
        "name=a%00b",
    ],
)
async def test_r_fhir_064_an_operator_finds_nobody(clerk: Caller, query: str) -> None:
    answer = await clerk.get(f"/fhir/Patient?{quote(query, safe='=%')}")

    assert answer.status_code in {200, 400}
    assert answer.headers["content-type"].startswith(FHIR_JSON)
    assert "entry" not in read(answer)
