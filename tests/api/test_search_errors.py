"""What a search does not understand: refused with what there is, or left out for a lenient client who is told."""

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
LENIENT = {"Prefer": "handling=lenient"}


@pytest.fixture(scope="module")
async def clerk(clinic: InProcess) -> Caller:
    caller = clinic.caller()
    for _ in range(3):
        await caller.store(patient("Errormarker"))
    return caller


def outcomes(bundle: Json) -> list[Json]:
    return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "outcome"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("Patient?nmae=x", "Patient has no search parameter nmae. It has: _id, _lastUpdated"),
        ("Patient?name:fuzzy=x", "name does not support the modifier fuzzy. It has: contains, exact, missing."),
        ("Patient?birthdate=yesterday", "A value of birthdate is a date such as"),
        ("Patient?active=perhaps", "A value of active is true or false."),
        ("Patient?general-practitioner=Dr House", "is an id, a type and an id (Patient/7), or a URL"),
        ("Observation?value-quantity=much", "A value of value-quantity is a number"),
        ("Patient?_sort=nmae", "Patient has no order by nmae. It has: "),
        ("Patient?_include=Patient:nmae", "Patient has no reference nmae. It has: "),
        ("Patient?_has:Observation:nmae:code=x", "Observation has no reference nmae. It has: "),
        ("Patient?_filter=name eq x", "_filter is not supported."),
        ("Patient?_count=many", "_count is a whole number"),
    ],
)
async def test_r_fhir_045_a_mistake_is_refused_and_what_is_right_is_told(clerk: Caller, path: str, told: str) -> None:
    answer = await clerk.get(f"/fhir/{path}")

    assert answer.status_code == 400
    assert told in read(answer)["issue"][0]["diagnostics"]


async def test_r_fhir_043_a_lenient_client_is_told_what_was_ignored(clerk: Caller) -> None:
    path = "/fhir/Patient?nmae=x&family=Errormarker&general-practitioner.nmae=y&_sort=nmae&_count=2"

    answer = read(await clerk.get(path, **LENIENT))

    [outcome] = outcomes(answer)
    assert [issue["severity"] for issue in outcome["issue"]] == ["warning"] * 3
    assert "nmae" in outcome["issue"][0]["diagnostics"]
    assert len([entry for entry in answer["entry"] if entry["search"]["mode"] == "match"]) == 2
    [here, following] = answer["link"]
    assert here["url"].endswith("/Patient?family=Errormarker&_count=2"), "R-FHIR-042"

    second = await clerk.get(following["url"])
    assert second.status_code == 200, "the link goes on without the preference"
    assert outcomes(read(second)) == []
    assert len(read(second)["entry"]) == 1


async def test_r_fhir_043_with_nothing_found_there_is_the_outcome_alone(clerk: Caller) -> None:
    answer = read(await clerk.get("/fhir/Patient?nmae=x&family=Nobodyatall", **LENIENT))

    assert answer["total"] == 0
    assert [entry["search"]["mode"] for entry in answer["entry"]] == ["outcome"]


async def test_r_fhir_043_lenient_over_several_types_leaves_out_what_one_of_them_lacks(clerk: Caller) -> None:
    path = "/fhir?_type=Patient,Observation&family=Errormarker&_lastUpdated=ge2000&_summary=count"

    assert (await clerk.get(path)).status_code == 400
    assert read(await clerk.get(path, **LENIENT))["link"][0]["url"].endswith(
        "?_type=Patient,Observation&_lastUpdated=ge2000&_summary=count"
    )


@pytest.mark.parametrize("name", ["name:fuzzy", "_filter", "birthdate:exact", "_include:recurse"])
async def test_r_fhir_044_leniency_covers_no_modifier_and_nothing_that_r4_knows(clerk: Caller, name: str) -> None:
    assert (await clerk.get(f"/fhir/Patient?{name}=x", **LENIENT)).status_code == 400


async def test_r_fhir_041_no_match_is_an_empty_searchset(clerk: Caller) -> None:
    answer = read(await clerk.get("/fhir/Patient?family=Nobodyatall"))

    assert (answer["total"], "entry" in answer, answer["type"]) == (0, False, "searchset")


async def test_r_fhir_061_what_is_too_broad_says_so_and_succeeds_when_narrowed(clinic: InProcess) -> None:
    async def asked(path: str) -> tuple[int, Json]:
        answer = await clinic.caller().get(path)
        return answer.status_code, read(answer)

    alternatives = ",".join(str(number) for number in range(101))
    status, outcome = await asked(f"/fhir/Patient?identifier={alternatives}")
    assert (status, outcome["issue"][0]["code"]) == (400, "too-costly")
    status, _ = await asked(f"/fhir/Patient?identifier={alternatives.rpartition(',')[0]}")
    assert status == 200


async def test_r_fhir_040_a_form_is_lenient_like_a_url(clerk: Caller) -> None:
    answer = await clerk.post("/fhir/Patient/_search", "nmae=x&family=Errormarker", Content_Type=FORM, **LENIENT)

    assert answer.status_code == 200
    assert len(outcomes(read(answer))) == 1
