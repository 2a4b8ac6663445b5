"""The newer doors: histories, patches, conditions and references by criteria open no more than a plain read."""

import base64
import json
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

NUMBER = "urn:clinic|file-4711"
PATCH = {"Content_Type": "application/json-patch+json"}


def observation(patient_id: str, **more: Any) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    found = [{"system": "urn:clinic", "value": "file-4711"}]
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": MARK},
        "subject": subject,
        "identifier": found,
        **more,
    }


def change(path: str, value: object) -> str:
    return json.dumps([{"op": "replace", "path": path, "value": value}])


class Victim:
    """One whose file holds an identifier that is known; `foe` may do everything in the file of another."""

    def __init__(self, clinic: InProcess) -> None:
        self.clinic, self.doctor = clinic, clinic.caller()

    async def begin(self) -> "Victim":
        self.id = (await self.doctor.store(patient(MARK)))["id"]
        self.foe_id = (await self.doctor.store(patient()))["id"]
        self.foe = self.clinic.caller("patient/*.cruds", patient=self.foe_id)
        self.observation = (await self.doctor.store(observation(self.id)))["id"]
        await self.doctor.put(f"/fhir/Observation/{self.observation}", observation(self.id, id=self.observation))
        return self


@pytest.fixture(scope="module")
async def victim(clinic: InProcess) -> Victim:
    return await Victim(clinic).begin()


async def test_a_history_of_anothers_resource_is_not_shown(victim: Victim, watch: Watch) -> None:
    for path in (f"Patient/{victim.id}", f"Observation/{victim.observation}"):
        watch.refused(await victim.foe.get(f"/fhir/{path}/_history"), 404)
        watch.refused(await victim.foe.get(f"/fhir/{path}/_history?_count=1"), 404)


@pytest.mark.parametrize("path", ["_history", "Patient/_history", "Observation/_history", "Consent/_history"])
async def test_a_history_of_everything_shows_ones_own_alone(victim: Victim, path: str) -> None:
    answer = await victim.foe.get(f"/fhir/{path}?_count=1000")

    assert answer.status_code in {200, 403}
    assert MARK not in answer.text
    assert victim.id not in answer.text
    assert victim.observation not in answer.text


@pytest.mark.parametrize("body", [change("/status", "amended"), change("/subject/reference", "Patient/{foe}")])
async def test_a_patch_of_anothers_resource_is_refused(victim: Victim, watch: Watch, body: str) -> None:
    patch = body.replace("{foe}", victim.foe_id)

    watch.refused(await victim.foe.ask("PATCH", f"/fhir/Observation/{victim.observation}", patch, **PATCH), 404)


async def test_a_patch_does_not_push_ones_own_into_anothers_file(victim: Victim) -> None:
    mine = read(await victim.foe.post("/fhir/Observation", observation(victim.foe_id)))
    body = change("/subject/reference", f"Patient/{victim.id}")

    assert (await victim.foe.ask("PATCH", f"/fhir/Observation/{mine['id']}", body, **PATCH)).status_code == 403


async def test_a_condition_finds_ones_own_alone(victim: Victim) -> None:
    """What is another's neither matches nor is touched nor is told of."""
    doctor, foe = victim.doctor, victim.foe
    path = f"/fhir/Observation?identifier={NUMBER}"
    mine = observation(victim.foe_id)

    answers = [
        await foe.post("/fhir/Observation", mine, If_None_Exist=f"identifier={NUMBER}"),
        await foe.put(path, mine),
        await foe.ask("PATCH", path, change("/status", "amended"), **PATCH),
        await foe.delete(path),
    ]

    assert not [answer for answer in answers if victim.observation in answer.text + str(answer.headers)]
    theirs = read(await doctor.get(f"/fhir/Observation/{victim.observation}"))
    assert (theirs["meta"]["versionId"], theirs["status"]) == ("2", "final")


async def test_a_reference_by_criteria_does_not_find_anothers_file(victim: Victim) -> None:
    """It would tell the id of whoever has that name."""
    entry = {
        "request": {"method": "POST", "url": "Observation"},
        "resource": {**observation(victim.foe_id), "focus": [{"reference": f"Patient?name={MARK}"}]},
    }

    answer = await victim.foe.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})

    assert victim.id not in answer.text
    if answer.status_code == 200:
        stored = await victim.doctor.get(read(answer)["entry"][0]["response"]["location"])
        assert victim.id not in stored.text


@pytest.mark.parametrize("letters", ["c", "u", "d", "cud"])
async def test_a_condition_is_no_search_for_who_may_not_search(
    clinic: InProcess, victim: Victim, watch: Watch, letters: str
) -> None:
    """Whether something matches is what `s` is for: without it a condition is refused, match or not."""
    holder = clinic.caller(f"system/Observation.{letters}")
    for number in (NUMBER, "urn:clinic|nothing"):
        path = f"/fhir/Observation?identifier={number}"
        body = observation(victim.id)
        if "c" in letters:
            watch.refused(await holder.post("/fhir/Observation", body, If_None_Exist=path.partition("?")[2]), 403)
        if "u" in letters:
            watch.refused(await holder.put(path, body), 403)
            watch.refused(await holder.ask("PATCH", path, change("/status", "amended"), **PATCH), 403)
        if "d" in letters:
            watch.refused(await holder.delete(path), 403)


@pytest.mark.parametrize("where", ["/subject/reference", "/content/url", "/content/hash", "/content/size"])
async def test_a_patch_does_not_move_a_photo(victim: Victim, where: str) -> None:
    doctor = victim.doctor
    await doctor.store(consent(victim.foe_id))
    stored = await doctor.store(media(victim.foe_id, jpeg()))
    values: dict[str, object] = {"/subject/reference": f"Patient/{victim.id}", "/content/size": 7}
    value = values.get(where, base64.b64encode(b"x" * 20).decode())

    answer = await doctor.ask("PATCH", f"/fhir/Media/{stored['id']}", change(where, value), **PATCH)

    assert answer.status_code in {403, 422}
    assert (await doctor.get(f"/fhir/{stored['content']['url']}")).status_code == 200


async def test_a_history_does_not_show_a_photo_that_a_read_would_refuse(clinic: InProcess, victim: Victim) -> None:
    doctor = victim.doctor
    someone = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(someone))
    stored = await doctor.store(media(someone, jpeg()))
    own = clinic.caller("patient/*.cruds", patient=someone)
    paths = (f"/fhir/Media/{stored['id']}/_history", "/fhir/Media/_history", "/fhir/_history")
    assert stored["content"]["url"] in (await own.get(paths[0])).text

    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    for path in paths:
        answer = await own.get(path)
        assert stored["content"]["url"] not in answer.text
        assert stored["content"]["hash"] not in answer.text


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_an_entry_with_a_condition_opens_no_other_door(victim: Victim, kind: str) -> None:
    url = f"Observation?identifier={NUMBER}"
    requests: list[Json] = [
        {"request": {"method": "DELETE", "url": url}},
        {"request": {"method": "GET", "url": url}},
        {"request": {"method": "GET", "url": f"Observation/{victim.observation}/_history/1"}},
        {"request": {"method": "GET", "url": f"Observation/{victim.observation}/_history"}},
        {
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier={NUMBER}"},
            "resource": observation(victim.foe_id),
        },
    ]
    for entry in requests:
        answer = await victim.foe.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert victim.id not in answer.text
        assert f"Observation/{victim.observation}" not in answer.text
    assert (await victim.doctor.get(f"/fhir/Observation/{victim.observation}")).status_code == 200
