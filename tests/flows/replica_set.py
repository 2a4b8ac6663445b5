"""A replica set of three mongods, any of which can be killed.

https://www.mongodb.com/docs/v6.0/reference/replica-configuration/
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from fhir_server.kernel.json import Json
from fhir_server.store.mongod import Mongod, find_mongod
from tests.flows.killable import free_port

MEMBERS = 3
_NAME = "three"
_ELECTION_MILLISECONDS = 2_000
_PATIENCE = 60.0
_PAUSE = 0.05


class ReplicaSet:
    """`uri` names all its members, as a clinic's setting would."""

    def __init__(self, members: list[Mongod]) -> None:
        self._members = members

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(self._hosts())}/?replicaSet={_NAME}"

    def initiate(self) -> None:
        """Returns when there is a primary. An election takes two seconds here, not the ten that are usual."""
        members = [{"_id": number, "host": host} for number, host in enumerate(self._hosts())]
        settings = {"electionTimeoutMillis": _ELECTION_MILLISECONDS, "heartbeatIntervalMillis": 500}
        with MongoClient[Json]("127.0.0.1", self._members[0].port, directConnection=True) as client:
            client.admin.command("replSetInitiate", {"_id": _NAME, "members": members, "settings": settings})
        _until(lambda: self._primary() is not None)

    def kill_primary(self) -> Mongod:
        """Nobody is told, and nothing is handed over."""
        primary = self._primary()
        assert primary is not None
        _kill(primary)
        return primary

    def _primary(self) -> Mongod | None:
        with MongoClient[Json](self.uri, serverSelectionTimeoutMS=500) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return None
            address = client.primary
        return next((one for one in self._members if address and one.port == address[1]), None)

    def _hosts(self) -> list[str]:
        return [f"127.0.0.1:{member.port}" for member in self._members]


@contextmanager
def replica_set(folder: Path) -> Iterator[ReplicaSet]:
    with ExitStack() as stack:
        members = [_member(folder / f"member-{number}") for number in range(MEMBERS)]
        for member in members:
            stack.callback(_kill, member)  # asked to end, each would look for somebody to hand over to first
        _until(lambda: all(map(_answers, members)))
        started = ReplicaSet(members)
        started.initiate()
        yield started


def _member(folder: Path) -> Mongod:
    folder.mkdir(parents=True)
    command = (
        *(str(find_mongod()), "--dbpath", str(folder), "--replSet", _NAME, "--oplogSize", "64"),
        *("--bind_ip", "127.0.0.1", "--nounixsocket", "--noscripting", "--quiet"),
        *("--logpath", str(folder / "mongod.log"), "--wiredTigerCacheSizeGB", "0.25"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    )
    return Mongod(command, free_port(), folder / "output.log")


def _kill(member: Mongod) -> None:
    if member.pid is not None and member.is_alive():
        os.kill(member.pid, signal.SIGKILL)
    member.stop()


def _answers(member: Mongod) -> bool:
    assert member.is_alive(), "a mongod ended at its start"
    with MongoClient[Json]("127.0.0.1", member.port, directConnection=True, serverSelectionTimeoutMS=500) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def _until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not reached():
        assert time.monotonic() < until, "the replica set did not come up"
        time.sleep(_PAUSE)
