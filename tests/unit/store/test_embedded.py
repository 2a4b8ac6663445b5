"""The embedded MongoDB: shut off from others, never an orphan, and back after any end."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient, MongoClient, WriteConcern
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from fhir_server.kernel.json import Json
from fhir_server.store import embedded, mongod
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongod import EmbeddedMongoError, find_mongod

SERVER = """
import sys, time
from pathlib import Path
from fhir_server.store.embedded import EmbeddedMongo
mongo = EmbeddedMongo(Path(sys.argv[1]))
mongo.start()
print(mongo.pid, flush=True)
time.sleep(600)
"""
DURABLE = WriteConcern(w="majority", j=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Removed at once, not kept as pytest keeps its own: a journal takes 300 MB."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "mongo"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmbeddedMongo, Path]]:
    """One for all tests that only look; started by a thread that has ended."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "mongo"
        mongo = EmbeddedMongo(data_dir)
        starter = threading.Thread(target=mongo.start)
        starter.start()
        starter.join()
        yield mongo, data_dir
        mongo.stop()


def port_of(uri: str) -> int:
    return int(uri.split("/")[2].split(":")[1])


def rows(uri: str) -> list[int]:
    with MongoClient[Json](uri) as client:
        return sorted(row["_id"] for row in client.clinic.rows.find())


def put(uri: str, number: int) -> None:
    with MongoClient[Json](uri) as client:
        client.clinic.get_collection("rows", write_concern=DURABLE).insert_one({"_id": number})


def ends(pid: int, seconds: float) -> bool:
    state = Path(f"/proc/{pid}/stat")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def kill(mongo: EmbeddedMongo) -> None:
    assert mongo.pid is not None
    os.kill(mongo.pid, signal.SIGKILL)
    while is_alive(mongo):
        time.sleep(0.01)


def is_alive(mongo: EmbeddedMongo) -> bool:
    try:
        return mongo.pid is not None
    except EmbeddedMongoError:
        return False


class Commands(CommandListener):
    def __init__(self) -> None:
        self.sent: list[CommandStartedEvent] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(event)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@pytest.mark.anyio
async def test_transactions_work_with_the_async_client(mongo_uri: str, database_name: str) -> None:
    async with AsyncMongoClient[Json](mongo_uri) as client, client.start_session() as session:
        database = client[database_name]

        async with await session.start_transaction():
            await database.a.insert_one({"_id": 1}, session=session)
            await database.b.insert_one({"_id": 1}, session=session)
        await session.start_transaction()
        await database.a.insert_one({"_id": 2}, session=session)
        await session.abort_transaction()

        assert [row["_id"] async for row in database.a.find()] == [1]
        assert [row["_id"] async for row in database.b.find()] == [1]


def test_single_writes_are_retryable(mongo_uri: str, database_name: str) -> None:
    commands = Commands()

    with MongoClient[Json](mongo_uri, event_listeners=[commands]) as client:
        client[database_name].a.insert_one({"_id": 1})

    (insert,) = [event.command for event in commands.sent if event.command_name == "insert"]
    assert "txnNumber" in insert


def test_a_write_is_seen_by_a_change_stream(mongo_uri: str, database_name: str) -> None:
    with MongoClient[Json](mongo_uri) as client, client[database_name].watch() as stream:
        client[database_name].a.insert_one({"_id": 1})

        assert next(stream)["documentKey"] == {"_id": 1}


def test_the_data_are_for_their_owner_alone(running: tuple[EmbeddedMongo, Path]) -> None:
    _, data_dir = running

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "mongod.log").stat().st_mode) == 0o600


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_it_listens_on_one_loopback_address_and_no_socket_file(running: tuple[EmbeddedMongo, Path]) -> None:
    mongo, _ = running
    port = port_of(mongo.uri)

    socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))
    assert f"mongodb-{port}.sock" not in Path("/proc/net/unix").read_text()


def test_the_terminals_interrupt_does_not_reach_it(running: tuple[EmbeddedMongo, Path]) -> None:
    mongo, _ = running
    assert mongo.pid is not None

    assert os.getsid(mongo.pid) == mongo.pid != os.getsid(0)


def test_it_outlives_the_thread_that_started_it(running: tuple[EmbeddedMongo, Path]) -> None:
    mongo, _ = running

    with MongoClient[Json](mongo.uri) as client:
        assert client.admin.command("serverStatus")["pid"] == mongo.pid


def test_its_caches_are_small_and_scripts_are_off(running: tuple[EmbeddedMongo, Path]) -> None:
    mongo, _ = running

    with MongoClient[Json](mongo.uri) as client:
        status = client.admin.command("serverStatus")
        parameters = client.admin.command({"getParameter": 1, "diagnosticDataCollectionEnabled": 1})
        options = client.admin.command("getCmdLineOpts")["parsed"]

    assert status["wiredTiger"]["cache"]["maximum bytes configured"] == 512 * 1024 * 1024
    assert parameters["diagnosticDataCollectionEnabled"] is False
    assert options["security"]["javascriptEnabled"] is False


def test_starting_it_twice_is_refused(running: tuple[EmbeddedMongo, Path]) -> None:
    mongo, _ = running

    with pytest.raises(EmbeddedMongoError, match="runs already"):
        mongo.start()


def test_a_second_server_on_the_same_data_is_refused_and_told_who_holds_them(
    running: tuple[EmbeddedMongo, Path],
) -> None:
    mongo, data_dir = running

    with pytest.raises(EmbeddedMongoError, match=f"process {mongo.pid}"):
        EmbeddedMongo(data_dir, patience=0.1).start()

    assert mongo.pid is not None


def test_data_survive_a_stop_a_kill_and_another_port(data_dir: Path) -> None:
    mongo = EmbeddedMongo(data_dir)

    with mongo:
        first = mongo.uri
        put(first, 1)
    second = mongo.start()
    put(second, 2)
    kill(mongo)
    third = mongo.start()
    found = rows(third)
    mongo.stop()
    mongo.stop()

    assert found == [1, 2]
    assert len({first, second, third}) == 3
    assert (data_dir / "mongod.log.1").exists()
    with pytest.raises(EmbeddedMongoError, match="does not run"):
        _ = mongo.uri


def test_it_ends_with_a_server_that_is_killed_and_the_next_server_waits_for_that(data_dir: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(data_dir)], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        orphan = int(server.stdout.readline())
        server.kill()

    with EmbeddedMongo(data_dir) as mongo:
        assert mongo.pid != orphan
        assert ends(orphan, seconds=5)


def test_a_port_taken_by_another_mongod_is_left_alone_and_another_is_tried(
    mongo_uri: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter((port_of(mongo_uri), embedded._free_port()))
    monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))

    with EmbeddedMongo(data_dir) as mongo:
        assert mongo.uri != mongo_uri

    assert next(ports, None) is None


def test_it_does_not_try_for_ever(mongo_uri: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_ATTEMPTS", 2)
    monkeypatch.setattr(embedded, "_free_port", lambda: port_of(mongo_uri))

    with pytest.raises(EmbeddedMongoError, match="with code 48"):
        EmbeddedMongo(data_dir).start()


def test_a_mongod_that_will_not_start_is_an_error_that_names_its_log(data_dir: Path) -> None:
    log = data_dir / "logs" / "mongod.log"

    with pytest.raises(EmbeddedMongoError, match=re.escape(str(log))):
        EmbeddedMongo(data_dir, log, cache_gib=-1).start()

    assert "cacheSizeGB must be" in log.read_text()


def test_a_mongod_that_is_never_ready_is_stopped(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[mongod.Mongod] = []

    def never(_: object, child: mongod.Mongod) -> bool:
        started.append(child)
        return False

    monkeypatch.setattr(embedded, "_START_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "_is_primary", never)

    with pytest.raises(EmbeddedMongoError, match="not ready"):
        EmbeddedMongo(data_dir).start()

    assert not any(child.is_alive() for child in started)


def test_data_of_a_set_with_several_members_are_not_taken_over() -> None:
    with pytest.raises(EmbeddedMongoError, match="several members"):
        embedded._moved({"version": 1, "members": [{"host": "a:1"}, {"host": "b:1"}]}, "127.0.0.1:1")


def test_the_wheels_mongod_is_found_without_importing_the_wheel() -> None:
    program = find_mongod()

    assert os.access(program, os.X_OK)
    assert "fiftyone" not in sys.modules


def test_without_the_wheel_the_mongod_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mongod"
    program.touch(mode=0o755)
    monkeypatch.setattr(mongod, "WHEEL", "a-wheel-that-nobody-has")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_mongod() == program


def test_without_any_mongod_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongod, "WHEEL", "a-wheel-that-nobody-has")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedMongoError, match=r"\[embedded\]"):
        find_mongod()
