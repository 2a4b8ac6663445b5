"""S62, S63: a backup is taken at one instant, restored elsewhere, and then answers as the clinic did."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import bson
import pytest
from pymongo import MongoClient

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.store.backup import creating
from fhir_server.store.backup.folder import Folder
from fhir_server.store.backup.restoring import Restoring
from fhir_server.store.collections import RESTORING
from fhir_server.store.embedded import EmbeddedMongo
from tests.clinics import InProcess, read, running
from tests.flows.backed_up import FAMILY, Taken, backups, restored, taken
from tests.flows.scanning import by_beginning, disguised, hits
from tests.samples import patient

pytestmark = pytest.mark.anyio

DATABASE = "test_backup"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another machine's mongod: the database must have the name that it had."""
    with EmbeddedMongo(tmp_path_factory.mktemp("elsewhere"), cache_gib=0.25) as mongo:
        yield mongo.uri


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, DATABASE, tmp_path_factory.mktemp("source"), worker_interval=3600) as inside:
        yield inside


@pytest.fixture(scope="module")
async def backup(source: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return await taken(source, tmp_path_factory.mktemp("backup"))


@pytest.fixture
def empty(elsewhere: str) -> Iterator[str]:
    yield elsewhere
    with MongoClient[Json](elsewhere) as mongo:
        mongo.drop_database(DATABASE)
        mongo.drop_database(f"{DATABASE}_keys")


def root(source: InProcess) -> Path:
    return source.clinic.settings.root_key_file


async def test_s62_s63_t39_t59_a_restored_clinic_answers_reads_searches_history_and_photos(
    source: InProcess, backup: Taken, empty: str
) -> None:
    done = await restored(empty, backup.data, backup.keys, root(source))
    assert done.rebuilt.damaged == ()
    assert done.rebuilt.erased == 0
    assert done.data.rows["resources"] == 4

    async with running(empty, DATABASE, source.clinic.settings.data_dir) as again:
        doctor = again.caller()
        found = read(await doctor.get(f"/fhir/Patient?family={FAMILY}&birthdate=1974-12-25"))
        earlier = await doctor.get(f"/fhir/Patient/{backup.person}/_history/1")
        photo = await doctor.get(f"/fhir/{backup.photo}", Accept="image/jpeg")
        events = read(
            await again.caller("system/AuditEvent.s").get(f"/fhir/AuditEvent?patient=Patient/{backup.person}")
        )
        written = await doctor.put(f"/fhir/Patient/{backup.person}", {**patient(FAMILY), "id": backup.person})

    assert [entry["resource"]["id"] for entry in found["entry"]] == [backup.person]
    assert earlier.status_code == 200
    assert photo.content == backup.bytes
    assert events["total"] > 3
    assert written.status_code == 200


async def test_s58_nothing_is_readable_in_a_backup(source: InProcess, backup: Taken) -> None:
    """Not even what stands in clear in the database: addresses, and the names of keys."""
    telling = [FAMILY.encode(), backup.person.encode(), b"Patient/", backup.photo.encode(), b"record/", b"sealed\x00"]
    pieces = [backup.bytes[at : at + 16] for at in range(0, len(backup.bytes) - 16, 256)]
    needles = by_beginning({form for secret in [*telling, *pieces] for form in disguised(secret)})
    files = [file for place in (backup.data, backup.keys) for file in place.iterdir()]

    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    assert {(file.name, hit) for file in files for hit in hits(file.read_bytes(), needles)} == set()


async def test_tokens_and_what_lets_somebody_in_are_no_part_of_it(source: InProcess, backup: Taken) -> None:
    names = {file.name.partition(".")[0] for file in backup.data.iterdir()}

    assert names >= {"resources", "history", "heads", "audit", "photos", "chunks", "users", "clients"}
    assert not names & {"audit_index", "locks", "grants", "sign_ins", "handles", "spent", "keys", "destroyed"}


async def test_a_restore_into_a_database_that_is_not_empty_is_refused(
    source: InProcess, backup: Taken, empty: str
) -> None:
    with MongoClient[Json](empty) as mongo:
        mongo[f"{DATABASE}_keys"]["keys"].insert_one({"_id": "somebody's"})

        with pytest.raises(ArchiveError, match="not empty"):
            await restored(empty, backup.data, backup.keys, root(source))

        assert mongo[f"{DATABASE}_keys"]["keys"].count_documents({}) == 1


async def test_no_server_starts_on_half_a_restore(elsewhere: str, tmp_path: Path) -> None:
    with MongoClient[Json](elsewhere) as mongo:
        mongo["test_half"][RESTORING].insert_one({"_id": "unfinished"})
        with pytest.raises(UnavailableError, match="did not end"):
            async with running(elsewhere, "test_half", tmp_path):
                pass
        mongo.drop_database("test_half")
        mongo.drop_database("test_half_keys")


async def test_a_backup_shows_one_instant_and_goes_on_with_it_after_it_was_stopped(
    source: InProcess, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after some pieces, with writes in between: what comes later is not in it."""
    monkeypatch.setattr(creating, "PIECE_BYTES", 2_000)
    doctor = source.caller()
    before = await doctor.store(patient("Beforesen"))
    data, keys = tmp_path / "data", tmp_path / "keys"
    stopped = 0
    for after in (1, 4, 7, 2, 5):
        async with backups(source) as found:
            with pytest.raises(CutError):
                await cut_after(found, after, data)
        stopped += 1
        await doctor.store(patient(f"Aftersen{after}"))
    done = {file.name: file.read_bytes() for file in data.glob("*.sealed") if not file.name.startswith("progress")}

    async with backups(source) as found:
        await found.create(data, keys)

    assert stopped == 5
    assert len(done) > 8
    kept = [name for name, content in done.items() if (data / name).read_bytes() == content]
    assert len(kept) >= len(done) - 1, "at most the last piece is written again"
    await restored(empty, data, keys, root(source))
    with MongoClient[Json](empty) as mongo:
        ids = {row["id"] for row in mongo[DATABASE]["resources"].find({"type": "Patient"})}
    assert before["id"] in ids
    async with running(empty, DATABASE, source.clinic.settings.data_dir) as again:
        bundle = read(await again.caller().get("/fhir/Patient?family=Aftersen"))
    assert bundle.get("entry", []) == []


class CutError(Exception):
    """As when the process is killed: nothing runs afterwards."""


async def cut_after(found: creating.Backups, pieces: int, data: Path) -> None:
    left = pieces
    written = Folder.write_piece

    def counted(self: Folder, name: str, number: int, sealed: bytes) -> None:
        nonlocal left
        written(self, name, number, sealed)
        left -= 1
        if not left:
            raise CutError

    Folder.write_piece = counted  # type: ignore[method-assign]  # for the length of this call
    try:
        await found.of("data", data)
    finally:
        Folder.write_piece = written  # type: ignore[method-assign]  # put back


async def test_where_the_instant_is_gone_a_stopped_backup_begins_again(
    source: InProcess, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "PIECE_BYTES", 2_000)
    data, keys = tmp_path / "data", tmp_path / "keys"
    async with backups(source) as found:
        with pytest.raises(CutError):
            await cut_after(found, 3, data)
    said: list[str] = []
    with MongoClient[Json](source.clinic.settings.mongo_uri) as mongo:
        mongo.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 0})
        try:
            late = await source.caller().store(patient("Latesen"))
            for _ in range(40):
                await source.caller().store(patient())
            mongo.admin.command({"fsync": 1})
            await asyncio.sleep(2)
        finally:
            # What is gone stays gone; the instant at which it begins again is to be kept, however long that takes.
            mongo.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 300})
    async with backups(source, said.append) as found:
        await found.create(data, keys)

    assert any("beginning again" in line for line in said)
    await restored(empty, data, keys, root(source))
    with MongoClient[Json](empty) as mongo:
        assert mongo[DATABASE]["resources"].find_one({"_id": f"Patient/{late['id']}"}) is not None


async def test_a_finished_backup_is_never_touched_again(source: InProcess, backup: Taken, tmp_path: Path) -> None:
    async with backups(source) as found:
        with pytest.raises(ArchiveError, match="finished"):
            await found.of("data", backup.data)
        (tmp_path / "else").write_text("something else")
        with pytest.raises(ArchiveError, match="not empty"):
            await found.of("data", tmp_path)


@pytest.mark.parametrize("inside", ["", "keys"])
async def test_data_and_keys_go_into_two_places(source: InProcess, tmp_path: Path, inside: str) -> None:
    async with backups(source) as found:
        with pytest.raises(ArchiveError, match="two places"):
            await found.create(tmp_path / "data", tmp_path / "data" / inside)


async def test_the_restored_rows_are_byte_for_byte_those_that_were_backed_up(
    source: InProcess, backup: Taken, empty: str
) -> None:
    """But for what is rebuilt; and the tokens are the same set that the clinic has."""
    await restored(empty, backup.data, backup.keys, root(source))

    with MongoClient[Json](empty) as there, MongoClient[Json](source.clinic.settings.mongo_uri) as here:
        row = {"_id": f"Patient/{backup.person}"}
        old, new = here[DATABASE]["resources"].find_one(row), there[DATABASE]["resources"].find_one(row)
        assert old is not None
        assert new is not None
        assert sorted(new.pop("tokens")) == sorted(old.pop("tokens"))
        assert bson.encode(new) == bson.encode(old)


async def test_a_backup_of_the_keys_alone_holds_what_verifies_it(
    mongo_uri: str, elsewhere: str, tmp_path: Path
) -> None:
    """The first that a clinic ever takes: its own keys are made before its instant."""
    async with running(mongo_uri, "test_first_backup", tmp_path / "first", worker_interval=3600) as inside:
        async with backups(inside) as found:
            await found.of("keys", tmp_path / "keys")
        restoring = Restoring(elsewhere, FileProvider(root(inside)), SystemClock(), secrets.token_bytes)

        assert await restoring.open_keys(tmp_path / "keys") > 4
