"""M2: the root is rotated by a command; after that no older backup of the keys opens what was erased, or anything."""

import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.cli import rotate as rotation
from fhir_server.cli.drill import open_keys
from fhir_server.cli.rotate import rotate
from fhir_server.crypto.errors import CryptoError, ProviderError
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyId
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.rekeying import Rekeying
from fhir_server.crypto.rows import WrapperKind
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.json import Json
from fhir_server.store.connection import connect
from fhir_server.store.documents import Documents
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.keys import Keys
from tests.clinics import InProcess, read, running
from tests.flows.backed_up import fill, restored, taken
from tests.flows.erasures import SECRET, Record
from tests.flows.withdrawals import statement, until_done
from tests.servers import COMMAND, run, started

pytestmark = pytest.mark.anyio

DATABASE = "test_rotation"


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, DATABASE, tmp_path_factory.mktemp("source"), worker_interval=3600) as inside:
        yield inside


def root(source: InProcess) -> Path:
    return source.clinic.settings.root_key_file


async def test_m2_an_erased_key_is_gone_from_an_older_backup_of_the_keys_and_nothing_else_is_lost(
    source: InProcess, tmp_path: Path
) -> None:
    older = await taken(source, tmp_path / "older")
    kept, _, _ = await fill(source)
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        stolen = list(mongo[f"{DATABASE}_keys"]["keys"].find({}))
    photo = await source.clinic.store.photos.find(older.photo.removeprefix("Binary/"))
    assert photo is not None
    await source.clinic.keyring.destroy([KeyId(photo.key)], "Consent/1/_history/2")
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        mongo["test_stolen_keys"]["keys"].insert_many(stolen)
    assert await opened_of(source, stolen) == len(ids_of(stolen)), "until then a copy of the keys opens all of it"

    await rotate(source.clinic.settings, tmp_path / "newest", keep_old=False)

    assert await opened_of(source, stolen) == 0
    with EmbeddedMongo(tmp_path / "mongo", cache_gib=0.25) as elsewhere:
        with pytest.raises(ProviderError):
            await restored(elsewhere.uri, older.data, older.keys, root(source))
        [newest] = (tmp_path / "newest").iterdir()
        done = await restored(elsewhere.uri, older.data, newest, root(source))
        assert done.rebuilt.damaged == ()
        async with running(elsewhere.uri, DATABASE, source.clinic.settings.data_dir) as again:
            lost = await again.caller().get(f"/fhir/{older.photo}", Accept="image/jpeg")
            found = await again.caller().get(f"/fhir/Patient/{older.person}")
    assert (lost.status_code, found.status_code) == (410, 200)
    assert (await source.caller().get(f"/fhir/Patient/{kept}")).status_code == 200
    assert (await source.caller().get(f"/fhir/{older.photo}", Accept="image/jpeg")).status_code == 410
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        mongo.drop_database("test_stolen_keys")


async def test_m2_an_erased_row_opens_with_older_keys_until_the_root_is_rotated_and_a_second_receipt_says_since_when(
    source: InProcess, tmp_path: Path
) -> None:
    """Past every refusal: an older copy of the rows and of their keys, and the root as it is."""
    record = await Record(source).begin()
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        stolen_keys = list(mongo[f"{DATABASE}_keys"]["keys"].find({}))
        booking = record.paths["appointment"].removeprefix("/fhir/")
        stolen_row = mongo[DATABASE]["resources"].find_one({"_id": booking})
        assert stolen_row
        first = next(p for p in read(await record.erase())["parameter"] if p["name"] == "receipt")["valueReference"]
        await until_done(source)
        mongo["test_stolen_keys"]["keys"].insert_many(stolen_keys)
    assert await record.statuses("appointment") == {410}
    assert SECRET in await opened_row(source, stolen_row), "inaccessible is not yet unrecoverable"
    await source.clinic.worker.chores()
    assert len(await receipts_of(record)) == 1

    await rotate(source.clinic.settings, tmp_path / "keys", keep_old=False)
    await source.clinic.worker.chores()

    with pytest.raises(CryptoError):
        await opened_row(source, stolen_row)
    [second] = [one for one in await receipts_of(record) if one["id"] not in first["reference"]]
    assert second["relatesTo"] == [{"code": "appends", "target": first}]
    said = await statement(source, second)
    assert bytes(stolen_row["key"]).hex() in said["keys"]
    assert said["unrecoverableSince"] <= said["issued"]
    assert (
        said["cause"]
        == (await statement(source, read(await record.officer.get(f"/fhir/{first['reference']}"))))["cause"]
    )
    await source.clinic.worker.chores()
    assert len(await receipts_of(record)) == 2, "told once"
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        mongo.drop_database("test_stolen_keys")


async def receipts_of(record: Record) -> list[Json]:
    found = read(await record.officer.get(f"/fhir/DocumentReference?patient={record.patient}"))
    return [entry["resource"] for entry in found.get("entry", [])]


async def opened_row(source: InProcess, row: Json) -> str:
    client = connect(source.clinic.settings.mongo_uri)
    try:
        keys = Keys(client, "test_stolen")
        ring = Keyring(keys, FileProvider(root(source)), secrets.token_bytes, SystemClock(), most_remembered=1)
        key = (await ring.open_keys([KeyId(row["key"])]))[KeyId(row["key"])]
        return str(Documents(DATABASE, secrets.token_bytes).opened(row, key).resource)
    finally:
        await client.close()


def ids_of(rows: list[Json]) -> list[KeyId]:
    wrappers = {str(kind) for kind in WrapperKind}
    return [KeyId(row["wraps"][-1]["key"]) for row in rows if row["kind"] not in wrappers]


async def opened_of(source: InProcess, rows: list[Json]) -> int:
    """How many keys of a copy of the key database the root as it is now opens, past every refusal."""
    client = connect(source.clinic.settings.mongo_uri)
    opened = 0
    try:
        ring = Keyring(
            Keys(client, "test_stolen"),
            FileProvider(root(source)),
            secrets.token_bytes,
            SystemClock(),
            most_remembered=1,
        )
        for id in ids_of(rows):
            try:
                opened += len(await ring.open_keys([id]))
            except CryptoError:
                continue
    finally:
        await client.close()
    return opened


class CutError(Exception):
    """As when the process is killed: nothing runs afterwards."""


CUTS: dict[str, tuple[Any, str]] = {
    "when a version was made": (Rekeying, "finish_root"),
    "while keys are carried over": (Keys, "replace"),
    "before the backup is opened": (rotation, "open_keys"),
    "before the old version goes": (Rekeying, "retire_root"),
}


@pytest.mark.parametrize("moment", CUTS)
async def test_a_rotation_that_was_stopped_is_finished_by_the_next(
    source: InProcess, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await FileProvider(root(source)).describe()).version
    person, photo, content = await fill(source)
    owner, name = CUTS[moment]

    async def cut(*_: Any, **__: Any) -> None:
        raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        with pytest.raises(CutError):
            await rotate(source.clinic.settings, tmp_path / "one", keep_old=False)
    assert (await source.caller().get(f"/fhir/Patient/{person}")).status_code == 200

    await rotate(source.clinic.settings, tmp_path / "two", keep_old=False)

    status = await FileProvider(root(source)).describe()
    assert (status.version, status.oldest) == (before + 1, before + 1), "one rotation, finished"
    source.clinic.keyring.forget_all()
    shown = await source.caller().get(f"/fhir/{photo}", Accept="image/jpeg")
    assert (shown.status_code, shown.content) == (200, content)
    assert (await source.caller().get(f"/fhir/Patient/{person}")).status_code == 200


async def test_a_backup_that_does_not_open_keeps_the_old_versions(
    source: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is destroyed then could never be had again."""
    before = await FileProvider(root(source)).describe()

    async def spoiled(settings: Any, keys: Path) -> int:
        piece = keys / "keys.000000.sealed"
        piece.write_bytes(piece.read_bytes()[:-1])
        return await open_keys(settings, keys)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "open_keys", spoiled)
        with pytest.raises(CryptoError, match="keys, piece 0"):
            await rotate(source.clinic.settings, tmp_path / "keys", keep_old=False)

    assert (await FileProvider(root(source)).describe()).oldest == before.oldest
    await rotate(source.clinic.settings, tmp_path / "sound", keep_old=False)


async def test_old_versions_are_kept_until_the_root_key_file_was_copied(source: InProcess, tmp_path: Path) -> None:
    before = (await FileProvider(root(source)).describe()).version

    await rotate(source.clinic.settings, tmp_path / "keys", keep_old=True)
    status = await FileProvider(root(source)).describe()
    assert (status.version, status.oldest) == (before + 1, before)

    await rotate(source.clinic.settings, tmp_path / "again", keep_old=False)
    status = await FileProvider(root(source)).describe()
    assert (status.version, status.oldest) == (before + 1, before + 1)


def test_a_rotation_that_is_killed_is_finished_beside_a_server_that_goes_on(tmp_path: Path) -> None:
    """SIGKILL as soon as there is a second version; the server writes and reads on through all of it."""
    with started("demo", tmp_path / "demo", embedded_cache=0.25) as server:
        file = tmp_path / "demo" / "keys" / "root.json"
        before = file.read_bytes()
        command = [*COMMAND, "keys", "rotate", "--keys", str(tmp_path / "keys")]
        process = subprocess.Popen(command, env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while file.read_bytes() == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        bearer = f"Bearer {server.token()}"
        assert server.ask("GET", "/fhir/Patient?name=camille", Authorization=bearer)[0] == 200

        again = run("keys", "rotate", "--keys", str(tmp_path / "keys"), env=server.env, patience=300)

        assert again.returncode == 0, again.stderr
        assert "Versions up to 1 are destroyed" in again.stdout
        written = server.ask(
            "POST",
            "/fhir/Patient",
            b'{"resourceType":"Patient","name":[{"family":"Afterwards"}]}',
            Authorization=bearer,
            Content_Type="application/fhir+json",
        )
        assert written[0] == 201
        status = run("keys", "status", env=server.env)
        assert "version 2, opens from 2" in status.stdout
