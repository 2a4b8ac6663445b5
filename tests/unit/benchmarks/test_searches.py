"""What the searches are measured on: each finds what it should, whatever the size, and the page says the ratios."""

import pytest

from benchmarks import payloads, plain, population
from benchmarks.population import OBSERVATIONS, Population
from benchmarks.search_report import page
from benchmarks.searches import SEARCHES
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from fhir_server.kernel.json import Json


def test_the_first_letters_of_a_name_are_those_of_one_page_of_patients() -> None:
    people = Population(200_000)

    assert len({population.name_prefix(group) for group in range(people.names)}) == people.names == 10_000
    for number in (0, 19, 20, 199_999):
        family = json.decode(payloads.searched_patient(number))["name"][0]["family"]
        assert family.lower().startswith(population.name_prefix(number // payloads.SAME_NAME))


def test_a_population_is_valid_and_refers_to_itself() -> None:
    resources = list(Population(40).resources())

    for resource in resources[: 2 * (1 + OBSERVATIONS)]:
        validate(resource)
    ids = {f"{each['resourceType']}/{each['id']}" for each in resources}
    assert len(ids) == len(resources) == 40 * (1 + OBSERVATIONS)
    assert {each["subject"]["reference"] for each in resources if "subject" in each} < ids


@pytest.mark.parametrize("patients", [20, 5000])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_every_search_asks_for_somebody_who_is_there(search: object, patients: int) -> None:
    people = Population(patients)
    assert isinstance(search, type(SEARCHES[0]))

    asked = [search.asked(people, number) for number in range(100)]

    assert all(each.startswith("/fhir/") for each in asked)
    assert len(set(asked)) > 1 or people.names == 1
    for number, each in enumerate(asked):
        if "identifier" in each:
            assert int(each.rpartition("R-")[2]) == number * 7 % patients


def test_a_plain_document_holds_what_is_searched_beside_the_resource() -> None:
    [resource, *_] = Population(20).resources()

    kept = plain.document(resource, 3)

    assert kept["names"] == ["astrid", "babababerg", "maria"]
    assert f"{population.RECORD_NUMBERS}|R-00000000" in kept["identifiers"]
    assert kept["born"] == plain.day(resource["birthDate"])
    assert json.decode(kept["body"]) == resource


def measured(patients: int, rate: float) -> Json:
    figures = {"p50": 1.0, "p95": 2.0, "others": 0.5}
    rows = [
        {
            "search": search.name,
            "least": search.least,
            "sealed": {**figures, "rate": rate, "server": 3.0, "database": 1.0},
            "plain": {**figures, "rate": 1000.0, "server": 0.5, "database": 0.5},
        }
        for search in SEARCHES
    ]
    around = {
        "processors": 2,
        "answering": 1,
        "python": "3.11",
        "mongod": "6.0",
        "rounds": 3,
        "seconds": 4.0,
        "measured": "2026-01-02T",
    }
    return {**around, "patients": patients, "searches": rows}


def test_the_page_compares_with_plain_and_sizes_with_each_other() -> None:
    written = page([measured(5000, 600.0), measured(200_000, 500.0)])

    assert "## 200,000 patients" in written
    row = next(line for line in written.splitlines() if line.startswith("| identifier"))
    assert [cell.strip() for cell in row.split("|")][-3:-1] == ["2.00", "4.0"]
    assert "| by rate | by processor time |" in written.replace("  ", " ")
    assert "1.20" in written
