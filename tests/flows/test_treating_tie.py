"""Only people with a legitimate reason: what ties a professional to a patient, and what does not."""

from datetime import timedelta

import pytest

from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import Case, actor, appointment, care_team, encounter, observation, staff

pytestmark = pytest.mark.anyio


@pytest.fixture
async def case(clinic: InProcess) -> Case:
    return await Case(clinic).begin()


def someone() -> str:
    return f"Practitioner/{random_id()}"


@pytest.mark.parametrize("role", ["practitioner", "nurse"])
async def test_t_74_a_colleague_without_a_tie_is_told_of_nothing(clinic: InProcess, case: Case, role: str) -> None:
    colleague = staff(clinic, role)

    assert not await case.sees(colleague)
    unknown = read(await colleague.get("/fhir/Observation/0000"))
    assert read(await colleague.get(f"/fhir/Observation/{case.observation}"))["issue"] == unknown["issue"]


@pytest.mark.parametrize("kind", ["CareTeam", "Encounter", "Appointment"])
@pytest.mark.parametrize("role", ["practitioner", "nurse"])
async def test_s_8_who_treats_sees_and_the_log_says_for_what(
    clinic: InProcess, case: Case, kind: str, role: str
) -> None:
    who = someone()
    ties = {
        "CareTeam": care_team(case.patient, who),
        "Encounter": encounter(case.patient, who),
        "Appointment": appointment(case.patient, who, case.now),
    }
    await case.desk.store(ties[kind])

    treats = staff(clinic, role, person=who)
    assert await case.sees(treats)
    async with clinic.trail.recording() as recorded:
        await treats.get(f"/fhir/Observation/{case.observation}")
    [purpose] = recorded.only["purposeOfEvent"]
    assert purpose["coding"][0]["code"] == "TREAT"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Appointment", {"status": "cancelled"}),
        ("Appointment", {"status": "entered-in-error"}),
        ("Appointment", {"status": "noshow"}),
        ("Appointment", {"status": "proposed"}),
        ("Encounter", {"status": "cancelled"}),
        ("Encounter", {"status": "entered-in-error"}),
        ("CareTeam", {"status": "inactive"}),
        ("CareTeam", {"status": "proposed"}),
        ("CareTeam", {"period": {"end": "2020-01-01"}}),
        ("CareTeam", {"period": {"start": "2199-01-01"}}),
        ("Encounter", {"period": {"start": "2020-01-01", "end": "2020-01-02"}}),
    ],
)
async def test_what_is_cancelled_wrong_or_over_ties_nobody(
    clinic: InProcess, case: Case, kind: str, change: Json
) -> None:
    who = someone()
    ties = {
        "CareTeam": care_team(case.patient, who),
        "Encounter": encounter(case.patient, who),
        "Appointment": appointment(case.patient, who, case.now),
    }
    stored = await case.desk.store(ties[kind])
    treats = staff(clinic, "practitioner", person=who)
    assert await case.sees(treats), "it did tie"

    await case.desk.store({**stored, **change})

    assert not await case.sees(treats)


@pytest.mark.parametrize(("days", "ties"), [(-100, False), (-80, True), (0, True), (80, True), (100, False)])
async def test_an_appointment_ties_around_its_dates(clinic: InProcess, case: Case, days: int, *, ties: bool) -> None:
    who = someone()
    await case.desk.store(appointment(case.patient, who, case.now + timedelta(days=days)))

    assert await case.sees(staff(clinic, "practitioner", person=who)) is ties


async def test_who_declined_or_left_the_team_is_not_tied(clinic: InProcess, case: Case) -> None:
    who, left = someone(), someone()
    declined = [actor(f"Patient/{case.patient}"), actor(who, "declined")]
    await case.desk.store(appointment(case.patient, who, case.now, participant=declined))
    over = [{"member": {"reference": left}, "period": {"end": "2021-01-01"}}]
    await case.desk.store(care_team(case.patient, left, participant=over))

    assert not await case.sees(staff(clinic, "practitioner", person=who))
    assert not await case.sees(staff(clinic, "practitioner", person=left))


async def test_a_deleted_tie_ties_nobody(clinic: InProcess, case: Case) -> None:
    who = someone()
    team = await case.desk.store(care_team(case.patient, who))
    treats = staff(clinic, "practitioner", person=who)
    assert await case.sees(treats)

    await case.desk.delete(f"/fhir/CareTeam/{team['id']}")

    assert not await case.sees(treats)


async def test_a_tie_to_one_patient_is_none_to_another(clinic: InProcess, case: Case) -> None:
    who = someone()
    other = await Case(clinic).begin("Other")
    await case.desk.store(care_team(case.patient, who))
    treats = staff(clinic, "practitioner", person=who)

    assert await case.sees(treats)
    assert not await other.sees(treats)


async def test_what_one_writes_on_top_of_a_tie_leaves_it_and_adds_nothing(clinic: InProcess, case: Case) -> None:
    who = someone()
    treats = staff(clinic, "practitioner", person=who)
    other = await Case(clinic).begin("Other")
    visit = await case.desk.store(encounter(case.patient, who))

    finished = await treats.put(
        f"/fhir/Encounter/{visit['id']}",
        {**encounter(case.patient, who, "finished", period={"start": instant(case.now)}), "id": visit["id"]},
    )
    moved = await treats.put(f"/fhir/Encounter/{visit['id']}", {**encounter(other.patient, who), "id": visit["id"]})

    assert finished.status_code == 200
    assert await case.sees(treats)
    assert moved.status_code == 403
    assert not await other.sees(treats)


async def test_who_cancels_a_tie_cannot_bring_it_back(clinic: InProcess, case: Case) -> None:
    who = someone()
    treats = staff(clinic, "practitioner", person=who)
    visit = await case.desk.store(encounter(case.patient, who))
    path = f"/fhir/Encounter/{visit['id']}"
    again = {**encounter(case.patient, who), "id": visit["id"]}
    assert (await treats.put(path, {**again, "status": "cancelled"})).status_code == 200

    back = await treats.put(path, again)

    assert back.status_code == 404
    assert not await case.sees(treats)


async def test_t_64_65_photos_are_listed_within_one_patient_only(clinic: InProcess, case: Case) -> None:
    who = someone()
    other = await Case(clinic).begin("Other")
    await case.desk.store(care_team(case.patient, who))
    await case.desk.store(care_team(other.patient, who))
    treats = staff(clinic, "practitioner", person=who)

    for path in ("Media", "Media?status=completed", f"Media?patient={case.patient},{other.patient}", "Media/_history"):
        assert (await treats.get(f"/fhir/{path}")).status_code == 403, path
    one = read(await treats.get(f"/fhir/Media?patient={case.patient}"))
    assert [entry["resource"]["id"] for entry in one["entry"]] == [case.media]
    assert one["total"] == 1


async def test_t_74_one_photo_has_one_answer_wherever_it_is_asked_for(clinic: InProcess, case: Case) -> None:
    """Architecture section 9: 404 where tie or granular scope refuses, 403 where these pass and consent refuses."""
    who, own = someone(), await Case(clinic).begin("Refused")
    await case.desk.store(care_team(own.patient, who))
    [agreed] = read(await own.desk.get(f"/fhir/Consent?patient={own.patient}"))["entry"]
    readers = {
        "tied": staff(clinic, "practitioner", person=who),
        "tied to somebody else": staff(clinic, "practitioner", person=someone()),
        "of another status alone": staff(clinic, "practitioner", "user/Media.rs?status=aborted", person=who),
        "without the scope": staff(clinic, "practitioner", "user/Observation.rs", person=who),
        "without the role": staff(clinic, "receptionist"),
    }

    before = {name: await answers(own, reader) for name, reader in readers.items()}
    withdrawn = {**agreed["resource"], "status": "inactive"}
    assert (await own.desk.put(f"/fhir/Consent/{withdrawn['id']}", withdrawn)).status_code == 200
    after = {name: await answers(own, reader) for name, reader in readers.items()}

    hidden = {"tied to somebody else": {404}, "of another status alone": {404}}
    assert before == {"tied": {200, 206}, **hidden, "without the scope": {403}, "without the role": {403}}
    assert after == {**before, "tied": {403}}


async def answers(case: Case, who: Caller) -> set[int]:
    """Of the Media, its versions, its bytes, a range of them, and the bytes as a resource."""
    asked = [await who.get(f"/fhir/{path}") for path in (f"Media/{case.media}", f"Media/{case.media}/_history/1")]
    asked += [await who.get(f"/fhir/{case.photo}"), await who.get(f"/fhir/{case.photo}", Range="bytes=0-9")]
    asked.append(await who.get(f"/fhir/{case.photo}", Accept="application/fhir+json"))
    return {answer.status_code for answer in asked}


async def test_t_64_a_compartment_names_the_patient_and_so_does_an_apps_context(clinic: InProcess, case: Case) -> None:
    who = someone()
    other = await Case(clinic).begin("Other")
    for each in (case, other):
        await case.desk.store(care_team(each.patient, who))
    treats = staff(clinic, "practitioner", person=who)
    in_context = staff(clinic, "practitioner", "patient/Media.rs", person=who, patient=case.patient)

    for caller, path in ((treats, f"Patient/{case.patient}/Media"), (in_context, "Media")):
        answer = await caller.get(f"/fhir/{path}")
        assert answer.status_code == 200, path
        assert [entry["resource"]["id"] for entry in read(answer)["entry"]] == [case.media], path


async def test_t_64_no_include_makes_one_list_of_several_patients_photos(clinic: InProcess, case: Case) -> None:
    who = someone()
    other = await Case(clinic).begin("Other")
    for each in (case, other):
        await case.desk.store(care_team(each.patient, who))
        derived = observation(each.patient, derivedFrom=[{"reference": f"Media/{each.media}"}], status="amended")
        await case.desk.store(derived)
    treats, both = staff(clinic, "practitioner", person=who), f"{case.patient},{other.patient}"

    for query, expected in (
        (f"Observation?patient={both}&status=amended&_include=Observation:derived-from", 1),
        (f"Observation?patient={case.patient}&status=amended&_include=Observation:derived-from", 1),
        (f"Observation?patient={both}&_include=*&_revinclude=*", 1),
        (f"Patient?_id={both}&_revinclude=Media:subject", 0),
        (f"Patient?_id={both}&_revinclude=Observation:subject&_include:iterate=Observation:derived-from", 1),
    ):
        found = read(await treats.get(f"/fhir/{query}"))
        photos = [entry["resource"] for entry in found["entry"] if entry["resource"]["resourceType"] == "Media"]
        assert len(photos) == expected, query


async def test_t_60_a_search_across_patients_brings_and_counts_those_one_treats(clinic: InProcess, case: Case) -> None:
    who = someone()
    mine, other = await Case(clinic).begin("Mine"), await Case(clinic).begin("Other")
    await case.desk.store(care_team(case.patient, who))
    await case.desk.store(appointment(mine.patient, who, case.now))
    treats = staff(clinic, "practitioner", person=who)

    found = read(await treats.get("/fhir/Observation?_total=accurate"))
    both = read(await treats.get(f"/fhir/Observation?patient={case.patient},{other.patient}"))

    assert {entry["resource"]["id"] for entry in found["entry"]} == {case.observation, mine.observation}
    assert found["total"] == 2
    assert [entry["resource"]["id"] for entry in both["entry"]] == [case.observation]
    assert (await treats.get("/fhir/Observation/_history")).status_code == 403
    assert read(await treats.get(f"/fhir/Observation?patient={other.patient}&_summary=count"))["total"] == 0


async def test_ones_own_appointments_are_found_without_naming_a_patient(clinic: InProcess, case: Case) -> None:
    who = someone()
    booked = await case.desk.store(appointment(case.patient, who, case.now))
    await case.desk.store(appointment(case.patient, someone(), case.now))
    treats = staff(clinic, "practitioner", person=who)

    found = read(await treats.get(f"/fhir/Appointment?practitioner={who}"))

    assert [entry["resource"]["id"] for entry in found["entry"]] == [booked["id"]]


async def test_who_is_not_tied_writes_nothing_into_the_record(clinic: InProcess, case: Case) -> None:
    colleague = staff(clinic, "practitioner")
    mine = await case.desk.store(observation(case.patient))

    assert (await colleague.post("/fhir/Observation", observation(case.patient))).status_code == 403
    assert (await colleague.put(f"/fhir/Observation/{mine['id']}", mine)).status_code == 404
    patch = '[{"op": "replace", "path": "/status", "value": "amended"}]'
    path = f"/fhir/Observation/{mine['id']}"
    patched = await colleague.ask("PATCH", path, patch, Content_Type="application/json-patch+json")
    assert patched.status_code == 404


async def test_the_answer_to_a_write_is_shown_to_who_is_tied(clinic: InProcess, case: Case) -> None:
    who = someone()
    await case.desk.store(care_team(case.patient, who))
    treats = staff(clinic, "practitioner", person=who)

    written = await treats.post("/fhir/Observation", observation(case.patient))

    assert written.status_code == 201
    assert read(written)["resourceType"] == "Observation"


async def test_several_entries_of_a_bundle_are_decided_each_by_itself(clinic: InProcess, case: Case) -> None:
    who = someone()
    other = await Case(clinic).begin("Other")
    await case.desk.store(care_team(case.patient, who))
    treats = staff(clinic, "practitioner", person=who)
    entries = [{"request": {"method": "GET", "url": f"Observation/{each.observation}"}} for each in (case, other)]

    answer = read(await treats.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries}))

    assert [entry["response"]["status"] for entry in answer["entry"]] == ["200", "404"]
    assert answer["entry"][0]["resource"]["id"] == case.observation
