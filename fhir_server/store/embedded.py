"""The embedded MongoDB: a real mongod on a data directory, as a replica set of one member on loopback.

https://www.mongodb.com/docs/v6.0/reference/command/replSetReconfig/

It listens on a port that is free at each start. The set remembers its member by address, so the data of an earlier
start get a forced reconfiguration; whoever answers on the port is believed, and reconfigured, only if it is our child.
"""

import fcntl
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.kernel.json import Json
from fhir_server.store.mongod import EmbeddedMongoError, Mongod, find_mongod

REPLICA_SET = "rs0"
_ADDRESS = "127.0.0.1"
_OPLOG_MB = 256
_ATTEMPTS = 5
_START_SECONDS = 60.0
_PAUSE = 0.01
_TAKEN = frozenset({48, 100})  # mongod's exit codes when the port, or the directory, is in use
_NOT_YET_INITIALIZED = 94


class EmbeddedMongo:
    """A mongod on `data_dir`, from `start` to `stop`, or for the length of a `with`.

    `log` is mongod's own log (`mongod.log` beside the data unless given); that of the start before is kept as `….1`.
    `patience` is how many seconds an earlier mongod may take to let go of the data.
    """

    def __init__(
        self, data_dir: Path, log: Path | None = None, *, cache_gib: float = 0.5, patience: float = 20.0
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._log = (log or data_dir / "mongod.log").absolute()
        self._cache_gib = cache_gib
        self._patience = patience
        self._mongod: Mongod | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """For PyMongo: the direct connection skips discovery, the set's name refuses a stranger on that port."""
        return f"mongodb://{_ADDRESS}:{self._running().port}/?replicaSet={REPLICA_SET}&directConnection=true"

    @property
    def pid(self) -> int | None:
        return self._running().pid

    def start(self) -> str:
        """Returns `uri` once mongod is primary and takes writes. Raises EmbeddedMongoError, and then nothing runs."""
        if self._mongod is not None and self._mongod.is_alive():
            raise EmbeddedMongoError("This embedded mongod runs already.")
        self._make_room()
        command = self._command(find_mongod())
        until = time.monotonic() + self._patience
        code: int | None = None
        for _ in range(_ATTEMPTS):
            _await_release(self._data_dir, until)
            mongod = Mongod(command, _free_port(), self._log)
            try:
                if _becomes_primary(mongod, time.monotonic() + _START_SECONDS):
                    self._mongod = mongod
                    return self.uri
            except BaseException:
                mongod.stop()
                raise
            code = mongod.stop()
            if code not in _TAKEN:  # else someone came between our look and its start: look again
                break
        raise EmbeddedMongoError(f"mongod ended at its start with code {code}; the reason is in {self._log}.")

    def stop(self) -> None:
        """Ends mongod cleanly; call it when everything that used it has ended. Again is harmless."""
        if self._mongod is not None:
            self._mongod.stop()
            self._mongod = None

    def _running(self) -> Mongod:
        if self._mongod is None or not self._mongod.is_alive():
            raise EmbeddedMongoError("The embedded mongod does not run.")
        return self._mongod

    def _make_room(self) -> None:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._data_dir.chmod(0o700)
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_name(f"{self._log.name}.1"))

    def _command(self, program: Path) -> tuple[str, ...]:
        return (
            *(str(program), "--dbpath", str(self._data_dir), "--replSet", REPLICA_SET, "--oplogSize", str(_OPLOG_MB)),
            *("--bind_ip", _ADDRESS, "--nounixsocket", "--noscripting"),
            *("--logpath", str(self._log), "--logappend", "--quiet", "--slowms", "1000"),
            *("--wiredTigerCacheSizeGB", str(self._cache_gib)),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_ADDRESS, 0))
        return int(probe.getsockname()[1])


def _await_release(data_dir: Path, until: float) -> None:
    """Waits for the mongod of a killed server, which has its SIGTERM and still writes its last checkpoint."""
    lock = data_dir / "mongod.lock"
    while _is_locked(lock):
        if time.monotonic() > until:
            holder = lock.read_text().strip()
            raise EmbeddedMongoError(f"Another mongod (process {holder}) uses {data_dir}. Stop its server first.")
        time.sleep(_PAUSE)


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _becomes_primary(mongod: Mongod, until: float) -> bool:
    """Waits until the child is primary; False when it ended instead."""
    while not _accepts(mongod.port):
        if not _goes_on(mongod, until):
            return False
    with MongoClient[Json](_ADDRESS, mongod.port, directConnection=True, timeoutMS=5000) as client:
        while not _is_primary(client.admin, mongod):
            if not _goes_on(mongod, until):
                return False
    return True


def _goes_on(mongod: Mongod, until: float) -> bool:
    if time.monotonic() > until:
        raise EmbeddedMongoError(f"mongod was not ready after {_START_SECONDS:.0f} seconds; its log may say why.")
    time.sleep(_PAUSE)
    return mongod.is_alive()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_ADDRESS, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_primary(admin: Database[Json], mongod: Mongod) -> bool:
    """One step towards a primary. Each step may be repeated, so a fault that passes is left to the next look."""
    host = f"{_ADDRESS}:{mongod.port}"
    try:
        if admin.command("serverStatus")["pid"] != mongod.pid:
            return False
        config = admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != host:
            admin.command("replSetReconfig", _moved(config, host), force=True)
        return bool(admin.command("hello")["isWritablePrimary"])
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALIZED:
            _initiate(admin, host)
        return False
    except PyMongoError:
        return False


def _initiate(admin: Database[Json], host: str) -> None:
    """For a new directory; mongod refuses where it is only still reading the configuration that it has."""
    with suppress(PyMongoError):
        admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})


def _moved(config: Json, host: str) -> Json:
    if len(config["members"]) != 1:
        raise EmbeddedMongoError("These data belong to a replica set of several members: start it, and name it.")
    return {**config, "version": config["version"] + 1, "members": [{**config["members"][0], "host": host}]}
