"""`python -m benchmarks.messages`: what it costs to map a message, and to have it committed, beside a floor.

The floor is a bare handler that finds and inserts one row, asked by the same client in the same run: a look and a write
per message, as the mappers make them. Processor time counts, since others may use the machine. About half a minute.
With `--rate` HL7 v2 comes by MLLP, so many a second, and what counts is how long each waits for its answer.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from os import getpid
from time import perf_counter, process_time

import uvloop

from benchmarks import processor_time
from benchmarks.connection import BenchmarkError
from benchmarks.deployment import Deployment, deployed
from benchmarks.lines import WARMING, answered
from benchmarks.load import percentile
from benchmarks.visits import hl7, webhook
from mappers.booking.calcom import bookings
from mappers.hl7v2 import messages
from mappers.mapping.message import Message, Tables
from mappers.runtime.acknowledging import Acknowledging
from mappers.runtime.clock import now
from mappers.runtime.delivery import Delivery, Outcome, Read, Source
from mappers.runtime.line import Line, kept_line
from mappers.runtime.mllp import Listener
from mappers.runtime.records import Records
from mappers.runtime.server import Server

_MAPPED, _ROUNDS = 2_000, 5
_AT_ONCE = 16
_STEPS = 3
_PATIENCE = 60.0
_STATE_KEY = "a key for this run alone, of which nothing is kept"
_RECEIVED = datetime(2026, 3, 1, tzinfo=UTC)
_SYSTEMS: dict[str, tuple[Read, Callable[[int, int], bytes]]] = {
    "webhook": (bookings.read, webhook),
    "SIU": (messages.read, hl7),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor milliseconds of a message, by process; `latencies` in seconds, of the messages of the window."""

    name: str
    a_second: float
    milliseconds: dict[str, float]
    latencies: tuple[float, ...]

    def line(self) -> str:
        parts = ", ".join(f"{name} {spent:.2f}" for name, spent in self.milliseconds.items())
        total = sum(self.milliseconds.values())
        half, most = (percentile(self.latencies, share) * 1000 for share in (0.5, 0.95))
        return f"{self.name:8} {self.a_second:6.1f}/s  {total:6.2f} ms ({parts})  p50 {half:.0f} ms, p95 {most:.0f} ms"


@dataclass(frozen=True, slots=True)
class _Given:
    """The server's token is made when it starts, and outlives the run."""

    text: str = field(repr=False)

    async def token(self) -> str:
        return self.text

    def forget(self) -> None:
        raise BenchmarkError("The server does not take the token.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.messages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short windows: to see that it works")
    parser.add_argument("--rate", type=int, help="so many a second by MLLP, instead")
    parser.add_argument("--processes", type=int, default=1, help="how many of the server answer; default 1")
    arguments = parser.parse_args()
    seconds = 2.0 if arguments.quick else 10.0
    if arguments.rate:
        with deployed(arguments.processes) as deployment, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(_by_mllp(deployment, arguments.rate, seconds)))
        return 0
    for name in _SYSTEMS:
        print(f"{name:8} {mapped(name):6.2f} ms to map, alone")
    with deployed(arguments.processes) as deployment, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        floor, *taken = runner.run(_measured(deployment, seconds))
    print(floor.line())
    for cost in taken:
        ratio = sum(cost.milliseconds.values()) / sum(floor.milliseconds.values())
        print(f"{cost.line()}  {ratio:.1f} floors")
    return 0


def mapped(name: str) -> float:
    """Milliseconds of the processor for one message; the best of some rounds, which others disturbed the least."""
    read, made = _SYSTEMS[name]
    taken = []
    for _ in range(_ROUNDS):
        given = [Message(made(number, number % _STEPS), _RECEIVED) for number in range(_MAPPED)]
        before = process_time()
        for message in given:
            read(message, Tables())
        taken.append((process_time() - before) / _MAPPED * 1000)
    return min(taken)


async def _measured(deployment: Deployment, seconds: float) -> list[Cost]:
    ids = {"server": deployment.server.pid, "database": deployment.mongod, "mappers": getpid()}
    async with kept_line(_PATIENCE) as http:
        base = f"http://127.0.0.1:{deployment.floor.port}"
        await http.post(f"{base}/fill", content=hl7(0, 0), headers={})
        found = [await _cost("floor", _floor(http, base), seconds, {**ids, "server": deployment.floor.pid})]
        server = Server(http, f"http://127.0.0.1:{deployment.server.port}/fhir", _Given(deployment.token))
        return found + [await _cost(name, _delivering(server, name), seconds, ids) for name in _SYSTEMS]


async def _by_mllp(deployment: Deployment, rate: int, seconds: float) -> str:
    ids = {"server": deployment.server.pid, "database": deployment.mongod, "mappers and sender": getpid()}
    async with kept_line(_PATIENCE) as http:
        server = Server(http, f"http://127.0.0.1:{deployment.server.port}/fhir", _Given(deployment.token))
        read, made = _SYSTEMS["SIU"]
        delivery = Delivery(server, Source("MLLP", read, Tables()), Records("MLLP", _STATE_KEY), now)
        async with await Listener(Acknowledging(delivery).answer).serve("127.0.0.1", 0, None) as listener:
            before = {name: processor_time.of_process(id) for name, id in ids.items()}
            spent = tuple(sorted(await answered(listener.sockets[0].getsockname(), rate, seconds, made)))
    count = rate * (seconds + WARMING)
    costs = {name: (processor_time.of_process(id) - before[name]) * 1000 / count for name, id in ids.items()}
    half, most = (percentile(spent, share) * 1000 for share in (0.5, 0.95))
    parts = ", ".join(f"{name} {cost:.2f}" for name, cost in costs.items())
    return f"MLLP {rate}/s  {sum(costs.values()):.2f} ms ({parts})  answered: p50 {half:.0f} ms, p95 {most:.0f} ms"


def _floor(http: Line, base: str) -> Callable[[int], Awaitable[int]]:
    async def once(number: int) -> int:
        for _ in range(_STEPS):
            async with http.session.get(f"{base}/find/0") as found:
                await found.read()
            inserted = await http.post(f"{base}/insert", content=hl7(number, 0), headers={})
            if max(found.status, inserted.status_code) >= 400:
                raise BenchmarkError("The floor does not answer.")
        return _STEPS

    return once


def _delivering(server: Server, name: str) -> Callable[[int], Awaitable[int]]:
    """A visit is booked, moved and cancelled: three messages, each of them after the commit of the one before."""
    read, made = _SYSTEMS[name]
    delivery = Delivery(server, Source(name, read, Tables()), Records(name, _STATE_KEY), now)

    async def once(number: int) -> int:
        for step in range(_STEPS):
            outcome = await delivery.deliver(Message(made(number, step), _RECEIVED))
            if outcome is not Outcome.WRITTEN:
                raise BenchmarkError(f"A message is {outcome.value}.")
        return _STEPS

    return once


async def _cost(name: str, once: Callable[[int], Awaitable[int]], seconds: float, ids: dict[str, int]) -> Cost:
    """So many visits at once, for so long; the first second, in which everything is new, does not count."""
    numbers, spans = count(), list[tuple[float, float]]()
    stopped = asyncio.Event()

    async def visits() -> None:
        while not stopped.is_set():
            begun = perf_counter()
            done = await once(next(numbers))
            ended = perf_counter()
            share = (ended - begun) / done
            spans.extend((begun + place * share, begun + (place + 1) * share) for place in range(done))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(visits())
        await asyncio.sleep(1)
        begin, before = perf_counter(), {name: processor_time.of_process(id) for name, id in ids.items()}
        await asyncio.sleep(seconds)
        end, after = perf_counter(), {name: processor_time.of_process(id) for name, id in ids.items()}
        stopped.set()
    mine = [(begun, ended) for begun, ended in spans if begin < ended <= end]
    if not mine:
        raise BenchmarkError("Nothing was taken within the window.")
    spent = {name: (after[name] - before[name]) * 1000 / len(mine) for name in ids}
    return Cost(name, len(mine) / (end - begin), spent, tuple(sorted(ended - begun for begun, ended in mine)))


if __name__ == "__main__":
    sys.exit(main())
