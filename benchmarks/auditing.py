"""What the log costs: a read with and without its being recorded, and how many events two processes acknowledge.

`python -m benchmarks.auditing` is one of the two processes: it takes its clinic from the environment.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

from benchmarks import payloads, processor_time
from benchmarks.connection import BenchmarkError, Connection
from benchmarks.figures import request
from benchmarks.load import Target, measure
from fhir_server.app import open_clinic
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.pipeline import Result
from fhir_server.engine.stored import Stored
from fhir_server.settings import Settings

_PATIENTS = 200
CLIENTS = (16, 64)
_ROUND, _ROUNDS, _BETWEEN = 0.5, 30, 0.25
"""Short, since what a processor does in a second changes by a third on a machine that others share; and many."""
_RECORDING_CLIENTS = 48
_WARM_UP, _SECONDS = 1.0, 5.0


class Cost(NamedTuple):
    """Of one read, in milliseconds of processor time."""

    server: float
    database: float

    @property
    def both(self) -> float:
        return self.server + self.database


class Compared(NamedTuple):
    """A read that is recorded and one that is not; `ratio` is the middle one of what the rounds gave."""

    recorded: Cost
    bare: Cost
    ratio: float


async def filled(port: int, token: str) -> None:
    """The patients who are read."""
    connection = await Connection.open(port)
    for number in range(_PATIENTS):
        id = f"audited-{number}"
        answer = await connection.ask(request("PUT", f"/fhir/Patient/{id}", token, payloads.known_patient(id, number)))
        if answer.status != 201:
            raise BenchmarkError(f"A Patient was answered {answer.status}: {answer.body[:300]!r}")
    await connection.close()


async def reads(servers: Sequence[tuple[int, int]], mongod: int, token: str, clients: int) -> Compared:
    """Of the server and of the one that does not record, each a process id and a port: they take turns."""
    [(recorded, port), (bare, bare_port)] = servers
    found: dict[int, list[Cost]] = {recorded: [], bare: []}
    for round in range(_ROUNDS):
        # Each goes first as often as the other: what grows or falls over two windows meets both alike.
        turns = ((recorded, port), (bare, bare_port))
        for process, at in turns if round % 2 else turns[::-1]:
            window = await measure(
                Target(at, _requests(token), 200), clients, _ROUND, _BETWEEN, {"server": process, "database": mongod}
            )
            cost = (window.processor[name] / window.done * 1e3 for name in ("server", "database"))
            found[process].append(Cost(*cost))
    ratios = (one.both / other.both for one, other in zip(found[recorded], found[bare], strict=True))
    return Compared(_middle(found[recorded]), _middle(found[bare]), median(ratios))


def _requests(token: str) -> Iterator[bytes]:
    for number in count():
        yield request("GET", f"/fhir/Patient/audited-{number % _PATIENTS}", token)


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(median(one.server for one in costs), median(one.database for one in costs))


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
