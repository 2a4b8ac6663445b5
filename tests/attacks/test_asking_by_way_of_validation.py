"""$validate and parts of resources as oracles: neither tells of what its caller may not see."""

import pytest

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def victim(clinic: InProcess) -> str:
    return str((await clinic.caller().store(patient(MARK, identifier=[{"system": "urn:x", "value": MARK}])))["id"])


@pytest.fixture
async def foe(clinic: InProcess) -> Caller:
    own = await clinic.caller().store(patient())
    return clinic.caller("patient/*.cruds", patient=own["id"])


def pointing_at(id: str) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{id}"},
    }


async def test_a_reference_that_is_validated_tells_nothing_of_its_target(victim: str, foe: Caller) -> None:
    there = await foe.post("/fhir/Observation/$validate", pointing_at(victim))
    nowhere = await foe.post("/fhir/Observation/$validate", pointing_at("nobody"))

    assert there.status_code == nowhere.status_code == 200
    assert there.content == nowhere.content
    assert MARK not in there.text


@pytest.mark.parametrize("query", ["", "?mode=delete", "?mode=update", "?mode=profile&profile=urn:x"])
async def test_anothers_file_is_validated_like_one_that_is_not_there(
    victim: str, foe: Caller, query: str, clinic: InProcess
) -> None:
    there = await foe.get(f"/fhir/Patient/{victim}/$validate{query}")
    nowhere = await foe.get(f"/fhir/Patient/nobody/$validate{query}")

    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


async def test_anothers_id_in_the_url_opens_nothing_of_the_stored(victim: str, foe: Caller) -> None:
    """A resource in the body is judged by itself, whoever has the id."""
    own, other = [
        await foe.post(f"/fhir/Patient/{id}/$validate?mode=update", patient(id=id)) for id in (victim, "nobody")
    ]

    assert own.content == other.content


@pytest.mark.parametrize("query", ["_summary=true", "_summary=text", "_elements=name"])
async def test_no_part_of_anothers_file_is_shown(victim: str, foe: Caller, watch: Watch, query: str) -> None:
    for path in (f"Patient/{victim}", f"Patient/{victim}/_history/1", f"Patient/{victim}/_history"):
        watch.refused(await foe.get(f"/fhir/{path}?{query}"), 404)
    assert "entry" not in read(await foe.get(f"/fhir/Patient?_id={victim}&{query}"))


async def test_what_is_validated_is_neither_stored_nor_said_again(mallory: Caller, watch: Watch) -> None:
    """Not in the answer, not in a log: what is wrong is named by its place."""
    broken = {**patient(MARK), "gender": MARK, MARK: MARK, "contact": [{"name": {"family": 5, MARK: 1}}]}

    answer = await mallory.post("/fhir/Patient/$validate", broken)

    assert answer.status_code == 200
    assert {issue["severity"] for issue in read(answer)["issue"]} == {"error"}
    watch.answers.append(answer)


@pytest.mark.parametrize("tags", ['W/"1"', "*"])
async def test_a_condition_on_a_read_tells_nothing_either(victim: str, foe: Caller, tags: str) -> None:
    there = await foe.get(f"/fhir/Patient/{victim}", If_None_Match=tags)
    nowhere = await foe.get("/fhir/Patient/nobody", If_None_Match=tags)

    assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)
    assert there.status_code == 404


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_nor_does_an_entry_of_a_bundle(victim: str, foe: Caller, kind: str) -> None:
    answers = []
    for id in (victim, "nobody"):
        entry = {"request": {"method": "GET", "url": f"Patient/{id}", "ifNoneMatch": 'W/"1"'}}
        answers.append(await foe.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]}))

    assert answers[0].content == answers[1].content
