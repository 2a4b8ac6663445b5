"""`Patient/$erase`: what may go goes with one commit, what stays is told; then keys end, and a receipt is filed."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.chosen import THE_SERVER
from fhir_server.cli import retention
from fhir_server.privacy.due import DueList
from fhir_server.privacy.retention import pack
from tests.clinics import InProcess, read, running
from tests.flows.erasures import SECRET, Record, asking, by_class
from tests.flows.withdrawals import statement, until_done
from tests.people import staff

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def french(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder: Path = tmp_path_factory.mktemp("french")
    async with running(mongo_uri, "erasures", folder, jurisdiction="fr", worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture
async def old(french: InProcess) -> Record:
    return await Record(french).begin(photos=2)


@pytest.fixture
async def recent(french: InProcess) -> Record:
    return await Record(french, "2024-05-06").begin()


async def test_s_57_a_dry_run_tells_what_would_go_and_why_the_rest_stays(recent: Record) -> None:
    told = await recent.told()

    assert {name: part["outcome"] for name, part in told.items()} == {
        "record": "keep",
        "contact": "erase",
        "marketing": "erase",
        "proof": "keep",
    }
    assert (told["record"]["because"], told["record"]["until"]) == ("fr-medical-file", "2044-05-06")
    assert told["record"]["photos"] == 1
    assert told["contact"]["resources"] == 1
    assert await recent.statuses() == {200}, "nothing happened"


async def test_s_51_what_may_go_goes_and_what_must_stay_stays(recent: Record) -> None:
    answer = await recent.erase()

    assert answer.status_code == 200, answer.text
    assert by_class(answer)["contact"]["outcome"] == "erase"
    assert await recent.statuses("appointment", "marketing") == {410}
    assert await recent.statuses("observation0", "media0", "photo0", "consent") == {200}


async def test_everything_of_a_class_is_gone_with_the_commit(old: Record) -> None:
    first = old.paths["observation0"]
    observation = read(await old.desk.get(first))
    await old.desk.put(first, {**observation, "status": "amended"})
    assert (await old.desk.get(f"{first}/_history/1")).status_code == 200

    answer = await old.erase()

    assert answer.status_code == 200, answer.text
    gone = [name for name in old.paths if name != "consent"]
    assert await old.statuses(*gone) <= {404, 410}
    assert (await old.desk.get(f"/fhir/Patient/{old.patient}")).status_code == 410
    for version in (1, 2):
        assert (await old.desk.get(f"{first}/_history/{version}")).status_code in {404, 410}
    listed = read(await old.desk.get(f"{first}/_history"))
    assert all("resource" not in entry for entry in listed.get("entry", []))
    for search in (
        f"Observation?patient={old.patient}",
        f"Media?subject=Patient/{old.patient}",
        f"Patient?name={SECRET}",
    ):
        found = [e["resource"]["id"] for e in read(await old.desk.get(f"/fhir/{search}")).get("entry", [])]
        assert old.patient not in found
        assert not any(path.endswith(f"/{id}") for id in found for path in old.paths.values())
    assert (await old.desk.get(old.paths["photo0"], Range="bytes=0-9")).status_code in {404, 410}


async def test_a_signed_receipt_says_what_went_and_when_it_is_unrecoverable(french: InProcess, old: Record) -> None:
    answer = await old.erase()
    receipt = next(p for p in read(answer)["parameter"] if p["name"] == "receipt")["valueReference"]["reference"]
    assert (await old.officer.get(f"/fhir/{receipt}")).status_code == 404, "not before it is true"

    await until_done(french)
    document = read(await old.officer.get(f"/fhir/{receipt}"))
    said = await statement(french, document)

    assert said["patient"] == f"Patient/{old.patient}"
    assert {one["class"]: one["decision"].split(":")[0] for one in said["classes"]} == {
        "record": "erased",
        "contact": "erased",
        "marketing": "erased",
        "proof": "kept",
    }
    assert len(said["keys"]) == 3
    assert len(said["photos"]) == 2
    assert said["inaccessibleSince"]
    assert "root" in said["unrecoverable"]
    assert SECRET not in str(said)


async def test_nothing_that_was_sealed_opens_afterwards(french: InProcess, old: Record) -> None:
    database = french.mongo[french.database]
    photo = old.paths["photo0"].rpartition("/")[2]
    row = await database["resources"].find_one({"_id": old.paths["observation0"].removeprefix("/fhir/")}) or {}
    picture = await database["photos"].find_one({"_id": photo}) or {}

    await old.erase()
    await until_done(french)

    assert await french.clinic.keyring.open_keys([row["key"], picture["key"]]) == {}
    for name in ("resources", "history", "attachments"):
        assert await database[name].count_documents({"key": row["key"]}) == 0
    assert (await database["photos"].find_one({"_id": photo}) or {})["state"] == "destroyed"
    assert await database["chunks"].count_documents({"_id": {"$regex": f"^{photo}"}}) == 0
    stone = await database["resources"].find_one({"_id": old.paths["observation0"].removeprefix("/fhir/")}) or {}
    assert (stone["subjects"], stone["access"], stone["tokens"], stone["clear"]) == ([], [], [], {})


async def test_d_9_no_tombstone_leads_to_the_patient(french: InProcess, old: Record) -> None:
    database = french.mongo[french.database]
    await old.erase()
    await until_done(french)

    left = [row async for row in database["resources"].find({"subjects": old.patient})]

    assert {row["type"] for row in left} <= {"Consent", "Task", "DocumentReference", "Provenance"}


async def test_a_legal_hold_refuses_with_its_reference(old: Record) -> None:
    hold = await old.request("legal-hold")

    answer = await old.erase()
    told = await old.told()

    assert answer.status_code == 409
    assert f"Task/{hold}" in answer.text
    assert {part["because"] for part in told.values()} == {f"Task/{hold}"}
    assert await old.statuses() == {200}
    held = read(await old.desk.get(f"/fhir/Task/{hold}"))
    await old.desk.put(f"/fhir/Task/{hold}", {**held, "status": "completed"})
    assert (await old.erase()).status_code == 200


async def test_a_complaint_holds_as_well(old: Record) -> None:
    await old.request("complaint-review")

    assert (await old.erase()).status_code == 409


async def test_s_82_t_71_where_all_must_stay_it_is_refused_with_the_rules(french: InProcess, recent: Record) -> None:
    assert (await recent.erase()).status_code == 200
    await until_done(french)

    again = await recent.erase()

    assert again.status_code == 409
    assert "fr-medical-file until 2044-05-06" in again.text


async def test_t_73_who_asks_for_it_does_not_carry_it_out(french: InProcess, old: Record) -> None:
    own = await old.request(who=old.officer)

    refused = await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(own))
    other = await staff(french, "privacy-officer").post(f"/fhir/Patient/{old.patient}/$erase", asking(own))

    assert refused.status_code == 403
    assert other.status_code == 200


@pytest.mark.parametrize("role", ["practitioner", "nurse", "receptionist", "auditor", "administrator", "marketing"])
async def test_s_60_no_other_role_erases(french: InProcess, old: Record, role: str) -> None:
    for body in (asking(dry=True), asking(await old.request())):
        answer = await staff(french, role).post(f"/fhir/Patient/{old.patient}/$erase", body)
        assert answer.status_code in {403, 404}
    assert await old.statuses() == {200}


async def test_a_scope_that_may_not_delete_does_not_erase(french: InProcess, old: Record) -> None:
    reader = french.caller("system/*.crus")

    assert (await old.erase(reader)).status_code == 403
    assert (await old.erase(french.caller("system/*.cruds", client="other"))).status_code == 200


async def test_the_request_must_be_an_open_one_for_this_patient(french: InProcess, old: Record) -> None:
    other = await Record(french).begin(photos=0)
    foreign, done = await other.request(), await old.request("restrict")

    for body in (asking(foreign), asking(done), asking("nothing"), asking(), {"resourceType": "Parameters"}):
        answer = await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", body)
        assert answer.status_code == 422, answer.text
    assert await old.statuses() == {200}


async def test_without_a_jurisdiction_no_medical_file_goes(mongo_uri: str, tmp_path: Path) -> None:
    async with running(mongo_uri, "erasures_eu", tmp_path) as clinic:
        record = await Record(clinic).begin()
        told = await record.told()

    assert (told["record"]["outcome"], told["record"]["because"]) == ("keep", "no-rule")
    assert told["marketing"]["outcome"] == "erase"


async def test_the_log_names_the_patient_by_id_and_says_what_was_done(french: InProcess, old: Record) -> None:
    async with french.trail.recording() as recorded:
        await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(dry=True))
        await old.erase()
        await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(dry=True))

    operations = [e for e in recorded.events if any(x.get("name") == "$erase" for x in e["entity"])]
    assert len(operations) == 3
    assert any(f"Patient/{old.patient}" in str(event) for event in operations)
    assert SECRET not in str(recorded.events)


async def test_b_8_a_file_whose_time_is_over_is_on_the_due_list_and_ends_after_two_people_said_so(
    french: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    old, recent = await Record(french).begin(), await Record(french, "2024-05-06").begin()

    async def told(action: str) -> str:
        await asyncio.to_thread(retention.run, french.clinic.settings, Namespace(action=action))
        return capsys.readouterr().out

    listed = await told("due")
    assert f"Patient/{old.patient}: record by fr-medical-file" in listed
    assert recent.patient not in listed
    assert "unverified" in listed
    assert await old.statuses() == {200}, "a list destroys nothing"

    [line] = [line for line in (await told("propose")).splitlines() if old.patient in line]
    proposed = line.rpartition("proposed by Task/")[2]
    [again] = [line for line in (await told("propose")).splitlines() if old.patient in line]
    assert again.endswith(f"asked for by Task/{proposed}"), "proposed once"

    early = await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(proposed))
    assert early.status_code == 422, "nobody has signed it off"
    task = read(await old.desk.get(f"/fhir/Task/{proposed}"))
    assert (await old.officer.put(f"/fhir/Task/{proposed}", {**task, "status": "requested"})).status_code == 200
    alone = await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(proposed))
    assert alone.status_code == 403, "who signs it off does not carry it out"
    await old.desk.put(f"/fhir/Task/{proposed}", {**task, "status": "accepted"})
    assert (await old.officer.post(f"/fhir/Patient/{old.patient}/$erase", asking(proposed))).status_code == 200
    assert await old.statuses("observation0", "media0") == {410}
    assert f"Patient/{old.patient}" not in await told("due")


async def test_b_8_a_hold_keeps_a_file_off_the_due_list(french: InProcess, old: Record) -> None:
    clinic = french.clinic
    due = DueList(clinic.engine, clinic.store.holdings, pack("fr"), clinic.surface.clock, THE_SERVER)
    assert old.patient in [one.patient.id async for one in due.walk()]

    await old.request("complaint-review")

    assert old.patient not in [one.patient.id async for one in due.walk()]
