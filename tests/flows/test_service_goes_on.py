"""S93: the database loses its primary, then one of two servers dies; nobody intervenes, and the service goes on."""

import asyncio
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import AsyncClient, HTTPError

from tests.clinics import InProcess, ended
from tests.clinics import running as opened
from tests.flows.load import Acknowledged, Client, is_try_again, speaking
from tests.flows.nothing_lost import DATABASE, assert_all_there, assert_whole
from tests.flows.replica_set import ReplicaSet, replica_set
from tests.servers import Server, free_port, started

pytestmark = pytest.mark.anyio

BASE = "http://127.0.0.1:8000"
CLIENTS = 2
_PATIENCE = 240
_NOBODY_IS_THERE = {"ConnectError", "RemoteProtocolError", "ReadError"}
"""What a client sees of a server that was killed."""


@dataclass(frozen=True)
class Place:
    """Two servers on a database of three members; the second is asked. `clinic`, in here, keeps the log's tree."""

    folder: Path
    database: ReplicaSet
    servers: tuple[Server, Server]
    clinic: InProcess
    issued: str
    base_url: str = BASE

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.servers[1].port}"

    @property
    def mongo_uri(self) -> str:
        return self.database.uri

    def token(self) -> str:
        """Issued while the first primary was there: what issues it may be told once to try again after that."""
        return self.issued


@asynccontextmanager
async def running() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="fhir-server-") as made, replica_set(Path(made)) as database:
        folder = Path(made) / "server"
        async with opened(database.uri, DATABASE, folder, base_url=BASE) as clinic:
            sequencing = asyncio.create_task(clinic.clinic.store.sequencer.run())
            with ExitStack() as servers:
                common = {"mongo_uri": database.uri, "base_url": BASE, "log_level": "error"}
                one, other = (started("serve", folder, **common, metrics_port=free_port()) for _ in range(2))
                first, second = await asyncio.gather(
                    asyncio.to_thread(servers.enter_context, one), asyncio.to_thread(servers.enter_context, other)
                )
                yield Place(folder, database, (first, second), clinic, clinic.token())
            await ended(sequencing)


class Reader:
    """Reads, again and again, the version that was acknowledged last."""

    def __init__(self, http: AsyncClient, acknowledged: Acknowledged) -> None:
        self._http, self._acknowledged = http, acknowledged
        self.found = 0

    async def run(self, until: asyncio.Event) -> None:
        while not until.is_set():
            versions = [key for key in self._acknowledged.resources if "/_history/" in key]
            try:
                await self._read(versions[-1] if versions else "metadata")
            except HTTPError as error:
                self._acknowledged.failures[type(error).__name__] += 1
                await asyncio.sleep(0.05)

    async def _read(self, version: str) -> None:
        answer = await self._http.get(f"/fhir/{version}")
        if answer.is_success:
            self.found += 1
        elif is_try_again(answer):
            self._acknowledged.failures["503"] += 1
            await asyncio.sleep(0.05)
        else:
            self._acknowledged.surprises.append(f"GET {version}: {answer.status_code} {answer.text}")


class Users:
    """Who writes and reads all the time by way of one server, and what they were told."""

    def __init__(self, http: AsyncClient, over: asyncio.Event) -> None:
        self.told = Acknowledged()
        self._reader = Reader(http, self.told)
        clients = [Client(http, secrets.token_hex(4), self.told) for _ in range(CLIENTS)]
        self.done = asyncio.gather(*(client.run(over) for client in clients), self._reader.run(over))

    async def served(self) -> None:
        """Returns when some more was written, and read."""
        written, read = len(self.told.resources) + 20, self._reader.found + 10
        async with asyncio.timeout(_PATIENCE):
            while len(self.told.resources) < written or self._reader.found < read:  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.02)


async def metrics_of(server: Server) -> dict[str, float]:
    port = server.env["FHIR_SERVER_METRICS_PORT"]
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        lines = (await http.get("/metrics")).text.splitlines()
        assert (await http.get("/fhir/metadata")).status_code == 404
    assert server.ask("GET", "/metrics")[0] == 404
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_s_93_the_service_goes_on_without_its_primary_and_without_one_of_two_servers() -> None:
    over = asyncio.Event()
    async with running() as place:
        to_first, to_second = (speaking(f"http://127.0.0.1:{one.port}", place.token()) for one in place.servers)
        async with to_first, to_second:
            first, second = Users(to_first, over), Users(to_second, over)
            await asyncio.gather(first.served(), second.served())

            await asyncio.to_thread(place.database.kill_primary)
            await asyncio.gather(first.served(), second.served())
            without_primary = [{*first.told.failures}, {*second.told.failures}]

            place.servers[0].process.send_signal(signal.SIGKILL)
            await second.served()
            over.set()
            await asyncio.gather(first.done, second.done)

        metrics = await metrics_of(place.servers[1])
        assert metrics['fhir_server_requests_total{interaction="create",status="201"}'] > 0
        assert metrics['fhir_server_request_duration_seconds_count{interaction="vread"}'] > 0
        assert sum(count for name, count in metrics.items() if 'status="5' in name) == second.told.failures["503"]
        assert [one.told.surprises for one in (first, second)] == [[], []]
        assert all(failures <= {"503"} for failures in (*without_primary, {*second.told.failures}))
        assert {*first.told.failures} <= {"503", *_NOBODY_IS_THERE}
        for one in (first, second):
            await assert_all_there(place, one.told)
        await assert_whole(place)
        sound = await place.clinic.clinic.store.verification.verify([])
        assert sound.entries > len(first.told.resources) + len(second.told.resources)
