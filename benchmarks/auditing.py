"""What the log costs: a read with and without its being recorded, and how many events two processes acknowledge.

The server has no switch that turns the log off. So reads are done in this process, on the server's own wiring; those
that are not recorded lack the step that records, and with it the look at the grant that is made in the same go.

`python -m benchmarks.auditing` is one of the two processes: it takes its clinic from the environment.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

from starlette.types import Message, Scope

from benchmarks import payloads, processor_time
from benchmarks.connection import BenchmarkError
from fhir_server.api.dispatch import Dispatch
from fhir_server.app import open_clinic
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.stored import Stored
from fhir_server.search.tree import Query
from fhir_server.settings import Settings

_PATIENTS = 200
_CLIENTS = 16
_READS = 1_600
_ROUNDS = 7
_RECORDING_CLIENTS = 48
_WARM_UP, _SECONDS = 1.0, 5.0


class Cost(NamedTuple):
    """Of one read, in milliseconds of processor time."""

    server: float
    database: float

    @property
    def both(self) -> float:
        return self.server + self.database


class _Unrecorded(Step):
    """Every phase of the others but the one in which a read is recorded."""

    def __init__(self, steps: Step) -> None:
        self._steps = steps

    async def admit(self, call: Call) -> None:
        await self._steps.admit(call)

    async def narrow(self, call: Call, query: Query) -> Query:
        return await self._steps.narrow(call, query)

    async def prepare(self, call: Call, change: Change) -> Change:
        return await self._steps.prepare(call, change)

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        await self._steps.foresee(call, found)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        return await self._steps.disclose(call, stored)


async def reads(settings: Settings, mongod: int, token: str) -> tuple[Cost, Cost]:
    """Recorded, and not: medians of rounds that take turns."""
    async with open_clinic(settings) as clinic:
        surface, documents = clinic.surface, clinic.gateway.documents
        engine = clinic.engine
        bare = Engine(engine.store, _Unrecorded(engine.steps), engine.drafts, lambda: engine.language)
        recorded, unrecorded = Dispatch(surface, documents), Dispatch(replace(surface, engine=bare), documents)
        for number in range(_PATIENTS):
            path = f"/fhir/Patient/audited-{number}"
            await _ask(recorded, "PUT", path, token, payloads.known_patient(f"audited-{number}", number))
        found: dict[Dispatch, list[Cost]] = {recorded: [], unrecorded: []}
        for _ in range(_ROUNDS):
            for app, costs in found.items():
                costs.append(await _round(app, token, mongod))
    return _middle(found[recorded][1:]), _middle(found[unrecorded][1:])


async def _round(app: Dispatch, token: str, mongod: int) -> Cost:
    async def client(start: int) -> None:
        for number in range(start, _READS, _CLIENTS):
            await _ask(app, "GET", f"/fhir/Patient/audited-{number % _PATIENTS}", token)

    ours, databases = process_time(), processor_time.of_process(mongod)
    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    used = process_time() - ours, processor_time.of_process(mongod) - databases
    return Cost(used[0] / _READS * 1e3, used[1] / _READS * 1e3)


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(median(one.server for one in costs), median(one.database for one in costs))


async def _ask(app: Dispatch, method: str, path: str, token: str, body: bytes = b"") -> None:
    """As a server would hand it over, from headers to the last byte. Raises BenchmarkError where it fails."""
    statuses: list[int] = []
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/fhir+json")]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "headers": [*headers, (b"content-length", str(len(body)).encode())],
        "state": {"request_id": "benchmark"},
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    await app(scope, receive, send)
    if statuses not in ([200], [201]):
        raise BenchmarkError(f"{method} {path} was answered {statuses}.")


class Recorded(NamedTuple):
    """By two processes together. `processor` is milliseconds of both and of the database for one event."""

    rate: float
    processor: float


def events(environment: Mapping[str, str], mongod: int) -> Recorded:
    """Begins to count when both are warm."""
    command = (sys.executable, "-m", "benchmarks.auditing")
    with ExitStack() as stack:
        writers = [
            stack.enter_context(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        used = processor_time.of_process(mongod)
        told = [writer.communicate()[0].split() for writer in writers]
        used = processor_time.of_process(mongod) - used
    if any(writer.returncode for writer in writers):
        raise BenchmarkError("A process that records ended with a fault.")
    rates, own, whole = zip(*((float(rate), float(own), float(all)) for rate, own, all in told), strict=True)
    return Recorded(sum(rates), sum(own) / 2 + used / sum(whole) * 1e3)


async def _record(settings: Settings) -> None:
    """The event of a read of one patient, again and again, by many at once, each waiting until it is durable."""
    async with open_clinic(settings) as clinic:
        stored = await _somebody(clinic)
        counted, until = 0, perf_counter() + _WARM_UP + _SECONDS

        async def client() -> None:
            nonlocal counted
            while perf_counter() < until:
                await clinic.engine.steps.conclude(_call(clinic), Result((stored,)))
                counted += 1

        clients = asyncio.gather(*(client() for _ in range(_RECORDING_CLIENTS)))
        await asyncio.sleep(_WARM_UP)
        before, began, used = counted, perf_counter(), process_time()
        await asyncio.wait([clients], timeout=_SECONDS)
        done, spent, used = counted - before, perf_counter() - began, process_time() - used
        await clients
        print(done / spent, used / done * 1e3, counted)


def _call(clinic: Clinic) -> Call:
    holder = Principal("benchmarks", "benchmarks", clinic.settings.base_url, "token", ("system/*.cruds",))
    now = clinic.surface.clock.now()
    return Call(Interaction.READ, holder, now, "Patient", "audited-0")


async def _somebody(clinic: Clinic) -> Stored:
    return await clinic.engine.look(_call(clinic))


def main() -> int:
    asyncio.run(_record(Settings.from_environment(os.environ)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
