"""`fhir-server reindex`, beside a running server: a SearchParameter of the clinic's own from 400 to the searchset."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from fhir_server.app import build_app
from fhir_server.cli.main import main
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.servers import COMMAND, environment

pytestmark = pytest.mark.anyio

SKIN_TYPE = "http://clinic.example/skin-type"
PARAMETER: Json = {
    "resourceType": "SearchParameter",
    "id": "skin-type",
    "url": "http://clinic.example/SearchParameter/skin-type",
    "name": "SkinType",
    "status": "active",
    "description": "By skin type after Fitzpatrick.",
    "code": "skin-type",
    "base": ["Patient"],
    "type": "token",
    "expression": f"Patient.extension.where(url = '{SKIN_TYPE}').value",
}

COMPOSITE: Json = {
    **PARAMETER,
    "id": "gender-skin-type",
    "url": "http://clinic.example/SearchParameter/gender-skin-type",
    "code": "gender-skin-type",
    "type": "composite",
    "expression": "Patient",
    "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender"},
        {"definition": PARAMETER["url"], "expression": f"extension.where(url = '{SKIN_TYPE}').value"},
    ],
}


@pytest.fixture
async def clinic(
    mongo_uri: str, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[InProcess]:
    """And the environment of commands that work on it."""
    for name in os.environ:
        if name.startswith("FHIR_SERVER_"):
            monkeypatch.delenv(name)
    given = environment(tmp_path, mongo_uri=mongo_uri, database=database_name, search_inside="Patient.address")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    async with running(mongo_uri, database_name, tmp_path) as inside:
        yield inside


async def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """In a thread: a command has an event loop of its own."""
    umask = os.umask(0o077)
    try:
        status = await asyncio.to_thread(main, ("reindex", *arguments))
    finally:
        os.umask(umask)
    output = capsys.readouterr()
    return status, output.out, output.err


async def stored_patients(caller: Caller) -> None:
    for id, skin in (("ann", "II"), ("ben", "VI")):
        extension = [{"url": SKIN_TYPE, "valueCode": skin}]
        await caller.store({"resourceType": "Patient", "id": id, "gender": "female", "extension": extension})


async def parameters(caller: Caller) -> list[str]:
    [patient] = [
        each for each in read(await caller.get("/fhir/metadata"))["rest"][0]["resource"] if each["type"] == "Patient"
    ]
    return [each["name"] for each in patient["searchParam"]]


async def test_a_search_parameter_of_the_clinics_own_takes_part_after_the_command(
    clinic: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = clinic.caller()
    await stored_patients(caller)
    await caller.store(PARAMETER)
    await caller.store(COMPOSITE)
    ill_formed = await caller.post("/fhir/SearchParameter", {**COMPOSITE, "component": COMPOSITE["component"][:1]})
    assert ill_formed.status_code == 422
    assert read(ill_formed)["issue"][0]["expression"] == ["SearchParameter.component"]
    refused = await caller.get("/fhir/Patient?skin-type=VI")
    assert refused.status_code == 400
    assert "takes part once the index was rebuilt" in refused.text
    assert "skin-type" not in await parameters(caller)
    assert (await ran(capsys, "--check"))[:2] == (1, "Rows are of an older version.\n")

    status, said, _ = await ran(capsys, "--unsafe-alone")
    await clinic.clinic.store.layouts.look()

    assert status == 0
    assert "100 %" in said
    assert "Patient is also searched by gender-skin-type, skin-type." in said
    found = read(await caller.get("/fhir/Patient?skin-type=VI"))
    assert [each["resource"]["id"] for each in found["entry"]] == ["ben"]
    for asked, total in (("female$VI", 1), ("female$II", 1), ("male$VI", 0)):
        assert read(await caller.get(f"/fhir/Patient?gender-skin-type={asked}"))["total"] == total
    assert {"skin-type", "gender-skin-type"} <= set(await parameters(caller))
    assert (await ran(capsys, "--check"))[:2] == (0, "Every row is as it should be.\n")
    recorded = [entity.get("name") for event in await clinic.trail.events() for entity in event.get("entity", ())]
    assert "$reindex" in recorded


def killed_while_it_waits(env: Mapping[str, str]) -> list[str]:
    """What a command of its own process says until it has rewritten every row; then it is killed."""
    said = []
    with subprocess.Popen([*COMMAND, "reindex", "--new-key"], env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("Waiting"):
                break
        process.kill()
    return said


async def test_a_command_that_was_killed_left_nothing_half_done_and_is_finished_by_the_next(
    clinic: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = clinic.caller()
    await stored_patients(caller)
    await caller.store(PARAMETER)

    said = await asyncio.to_thread(killed_while_it_waits, os.environ)
    await clinic.clinic.store.layouts.look()

    assert any("3 rewritten" in line for line in said)
    assert (await caller.get("/fhir/Patient?skin-type=VI")).status_code == 400
    assert read(await caller.get("/fhir/Patient?_id=ben"))["total"] == 1
    await caller.store({"resourceType": "Patient", "id": "late", "extension": [{"url": SKIN_TYPE, "valueCode": "VI"}]})
    status, _, complaint = await ran(capsys, "--unsafe-alone")
    assert (status, "being rebuilt already" in complaint) == (1, True)
    layouts = clinic.mongo[clinic.database]["layouts"]
    await layouts.update_one({}, {"$set": {"runner.until": 0}})  # half a minute later

    status, again, _ = await ran(capsys, "--unsafe-alone")
    await clinic.clinic.store.layouts.look()

    assert status == 0
    assert again.count("is in force") == 2, "with tokens of both keys, and with those of the new one alone"
    assert "The key of epoch 1 was destroyed." in again
    found = read(await caller.get("/fhir/Patient?skin-type=VI"))
    assert [each["resource"]["id"] for each in found["entry"]] == ["ben", "late"]


async def test_a_search_parameter_that_cannot_take_part_is_named_with_the_reason(
    clinic: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = clinic.caller()
    for id, changes in (
        ("taken", {"code": "name"}),
        ("wrong", {"expression": "Patient.name.given.matches('a+')"}),
        ("whole", {"base": ["Resource"]}),
        ("draft", {"status": "draft"}),
    ):
        await caller.store({**PARAMETER, "id": id, **changes})

    status, said, _ = await ran(capsys, "--unsafe-alone")

    assert status == 0
    assert "SearchParameter/taken does not take part: Patient has a parameter name already." in said
    assert "SearchParameter/wrong does not take part: its expression is not understood" in said
    assert "SearchParameter/whole does not take part: its base names no type that is served here." in said
    assert "draft" not in said


@pytest.mark.parametrize("wrong", ["Patient.birthdate", "Patient.nothing", "Nobody.name"])
async def test_only_texts_are_found_by_any_part(
    clinic: InProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("FHIR_SERVER_SEARCH_INSIDE", wrong)

    status, _, complaint = await ran(capsys, "--check")

    assert status == 1
    assert "FHIR_SERVER_SEARCH_INSIDE names a parameter that does not know :contains or :text." in complaint


async def test_a_server_warns_at_its_start_where_rows_are_of_an_older_version(
    clinic: InProcess, caplog: pytest.LogCaptureFixture
) -> None:
    await clinic.caller().store(PARAMETER)
    app = build_app(clinic.clinic.settings)

    async with app.router.lifespan_context(app):
        pass

    assert "run fhir-server reindex" in caplog.text
