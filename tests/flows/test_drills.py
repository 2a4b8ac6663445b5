"""S63, T52: a backup is tried out, the result is filed in the record, and whatever is wrong with it is named."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.cli import scheduled
from fhir_server.cli.drill import DRILL_TYPE, drill, file
from fhir_server.clinic import Clinic
from fhir_server.crypto.jws import verify_jws
from fhir_server.engine.classification import DRILL, RECEIPT_SYSTEM
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, ended, read, running
from tests.flows.backed_up import Taken, backups, taken

pytestmark = pytest.mark.anyio

DATABASE = "test_drill"
DRILL_CODE = {"system": RECEIPT_SYSTEM, "code": DRILL}


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, DATABASE, tmp_path_factory.mktemp("source"), worker_interval=3600) as inside:
        yield inside


@pytest.fixture(scope="module")
async def backup(source: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return await taken(source, tmp_path_factory.mktemp("backup"))


async def test_s63_t52_a_drill_restores_compares_reads_and_searches_and_files_its_result(
    source: InProcess, backup: Taken
) -> None:
    found = await drill(source.clinic.settings, backup.data, backup.keys)
    assert found.difference == ""
    assert found.rows["resources"] == 4
    assert found.events > 5
    assert (found.searched, found.photos) == (3, 1)
    assert found.read >= 3

    key = await file(source.clinic, found)

    forged = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [DRILL_CODE]},
        "content": [{"attachment": {"title": "A drill"}}],
    }
    assert (await source.caller().post("/fhir/DocumentReference", forged)).status_code == 422
    assert (await source.caller().delete(f"/fhir/{key}")).status_code == 405
    auditor = source.caller("system/*.rs")
    filed = read(await auditor.get(f"/fhir/{key}"))
    assert filed["type"]["coding"][0]["code"] == DRILL
    assert "without a difference" in filed["description"]
    [content] = filed["content"]
    signed = base64.b64decode(content["attachment"]["data"]).decode()
    public = base64.urlsafe_b64decode(str(source.clinic.receipts["x"]) + "=")
    said = json.decode(verify_jws(signed, public, DRILL_TYPE))
    assert (said["result"], said["backup"]) == ("same", found.backup)
    events = read(await source.caller("system/AuditEvent.s").get(f"/fhir/AuditEvent?entity={key}"))
    assert events["total"] >= 1, "filing it is recorded like any other write"
    assert not list(source.clinic.settings.data_dir.glob("drill-*")), "nothing of it stays"


async def test_s63_a_drill_names_the_first_difference(source: InProcess, backup: Taken, tmp_path: Path) -> None:
    data = shutil.copytree(backup.data, tmp_path / "data")
    piece = data / "heads.000000.sealed"
    piece.write_bytes(piece.read_bytes()[:-1] + b"x")

    found = await drill(source.clinic.settings, data, backup.keys)

    assert found.difference == "heads, piece 0: it is not what was written there."
    key = await file(source.clinic, found)
    assert found.difference in read(await source.caller().get(f"/fhir/{key}"))["description"]


async def test_a_row_that_was_damaged_before_the_backup_is_found_by_the_drill(
    source: InProcess, backup: Taken, tmp_path: Path
) -> None:
    """Altered beside the server: the backup is a faithful copy of what does not open."""
    settings = source.clinic.settings
    with MongoClient[Json](settings.mongo_uri) as mongo:
        rows = mongo[DATABASE]["resources"]
        row = rows.find_one({"_id": f"Patient/{backup.person}"})
        assert row is not None
        rows.update_one({"_id": row["_id"]}, {"$set": {"deleted": True}})
        try:
            async with backups(source) as taking:
                await taking.create(tmp_path / "data", tmp_path / "keys")
        finally:
            rows.replace_one({"_id": row["_id"]}, row)

    found = await drill(settings, tmp_path / "data", tmp_path / "keys")

    assert f"Patient/{backup.person} first" in found.difference


async def test_a_row_that_was_put_back_before_the_backup_is_found_by_the_drill(
    source: InProcess, backup: Taken, tmp_path: Path
) -> None:
    """Every seal opens; the log of the backup knows a later version."""
    settings = source.clinic.settings
    key = {"_id": f"Patient/{backup.person}"}
    with MongoClient[Json](settings.mongo_uri) as mongo:
        rows = mongo[DATABASE]["resources"]
        now = rows.find_one(key)
        earlier = mongo[DATABASE]["history"].find_one({"_id": f"Patient/{backup.person}/_history/1"})
        assert now is not None
        assert earlier is not None
        rows.replace_one(key, {**earlier, **key, "tokens": now["tokens"], "layout": now["layout"]})
        try:
            async with backups(source) as taking:
                await taking.create(tmp_path / "data", tmp_path / "keys")
        finally:
            rows.replace_one(key, now)

    found = await drill(settings, tmp_path / "data", tmp_path / "keys")

    assert "The log: " in found.difference


async def test_without_the_root_key_a_backup_opens_nothing(source: InProcess, backup: Taken, tmp_path: Path) -> None:
    elsewhere = replace(source.clinic.settings, data_dir=tmp_path, root_key_file=tmp_path / "keys" / "root.json")

    found = await drill(elsewhere, backup.data, backup.keys)

    assert "root key file" in found.difference
    assert not (tmp_path / "keys").exists(), "no other root is made in its place"


async def test_where_there_is_no_backup_the_drill_says_so(source: InProcess, tmp_path: Path) -> None:
    assert "holds no backup" in (await drill(source.clinic.settings, tmp_path, tmp_path)).difference


async def test_s62_s63_the_worker_backs_up_and_tries_it_out_once_in_an_interval(
    source: InProcess, tmp_path: Path
) -> None:
    """Of two workers one; kept where the settings say, the manifest signed, the result in the record."""
    settings = replace(
        source.clinic.settings, backup_dir=tmp_path / "data", backup_keys_dir=tmp_path / "keys", drill_hours=8760
    )
    two = [replace(source.clinic, settings=settings) for _ in range(2)]
    auditor = source.caller("system/*.rs")
    before = {entry["resource"]["id"] for entry in await drills_of(auditor)}

    tasks = [asyncio.create_task(scheduled.drills(one, 0.05)) for one in two]
    filed: list[Json] = []
    for _ in range(600):
        await asyncio.sleep(0.1)
        filed = await drills_of(auditor)
        if len(filed) > len(before):
            break
    await asyncio.sleep(0.3)
    for task in tasks:
        await ended(task)

    [new] = [entry["resource"] for entry in filed if entry["resource"]["id"] not in before]
    assert "without a difference" in new["description"]
    [data], [keys] = (tmp_path / "data").iterdir(), (tmp_path / "keys").iterdir()
    assert data.name == keys.name
    again = await drill(settings, data, keys)
    assert again.difference == ""


async def drills_of(auditor: Caller) -> list[Json]:
    found = read(await auditor.get(f"/fhir/DocumentReference?type={DRILL}&_sort=_lastUpdated&_count=50"))
    entries: list[Json] = found.get("entry", [])
    return entries


async def test_without_a_place_a_scheduled_backup_is_not_kept(source: InProcess) -> None:
    found = await scheduled.backed_up_and_tried(source.clinic)

    assert found.difference == ""
    assert not list(source.clinic.settings.data_dir.glob("drill-*"))


async def test_a_backup_that_cannot_be_taken_is_a_result_too(source: InProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = replace(source.clinic.settings, backup_dir=tmp_path / "file", backup_keys_dir=tmp_path / "keys")

    found = await scheduled.backed_up_and_tried(replace(source.clinic, settings=settings))

    assert "it was not finished" in found.difference


async def test_a_worker_makes_drills_unless_told_not_to(source: InProcess) -> None:
    assert source.clinic.settings.drill_hours == 24
    begun: list[Clinic] = []

    async def noted(clinic: Clinic) -> None:
        begun.append(clinic)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduled, "drills", noted)
        for clinic in (source.clinic, replace(source.clinic, settings=replace(source.clinic.settings, drill_hours=0))):
            task = asyncio.create_task(scheduled.working(clinic))
            await asyncio.sleep(0.05)
            await ended(task)

    assert begun == [source.clinic]
