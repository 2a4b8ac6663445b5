"""Closed-loop load: so many clients, each asking again as soon as it is answered, for so many seconds."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks import processor_time
from benchmarks.connection import BenchmarkError, Connection


@dataclass(frozen=True, slots=True)
class Target:
    """Requests without end for one port, and the status that each must be answered with."""

    port: int
    requests: Iterator[bytes]
    status: int


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two instants. `processor` is seconds by process; `others` is the rest of the machine's.

    `done` counts a request by the share of its time that lies in the window: a few long requests at the edges would
    otherwise make the rate jump.
    """

    seconds: float
    done: float
    latencies: tuple[float, ...]
    processor: Mapping[str, float]
    others: float


@dataclass(slots=True)
class _Log:
    spans: list[tuple[float, float]] = field(default_factory=list)
    stopped: bool = False


async def measure(
    target: Target, clients: int, seconds: float, warm_up: float, processes: Mapping[str, int | None]
) -> Window:
    """`processes`: name -> process id, whose processor time is counted beside the driver's own."""
    watched = {"driver": os.getpid(), **{name: pid for name, pid in processes.items() if pid is not None}}
    log = _Log()
    connections = [await Connection.open(target.port) for _ in range(clients)]
    try:
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_client(connection, target, log))
            await asyncio.sleep(warm_up)
            begin, before, machine_before = perf_counter(), _times(watched), processor_time.of_machine()
            await asyncio.sleep(seconds)
            end, after, machine_after = perf_counter(), _times(watched), processor_time.of_machine()
            log.stopped = True
    except ExceptionGroup as errors:
        raise next(_faults(errors), errors) from None
    finally:
        for connection in connections:
            await connection.close()
    used = {name: after[name] - before[name] for name in watched}
    others = max(0.0, machine_after - machine_before - sum(used.values()))
    return window(log.spans, begin, end, used, others)


def window(
    spans: list[tuple[float, float]], begin: float, end: float, used: Mapping[str, float], others: float
) -> Window:
    """`spans`: when each request was sent and answered, some of them before or after the window."""
    done = sum(
        max(0.0, min(answered, end) - max(sent, begin)) / (answered - sent)
        for sent, answered in spans
        if answered > begin and sent < end
    )
    latencies = tuple(sorted(answered - sent for sent, answered in spans if answered > begin and sent < end))
    return Window(end - begin, done, latencies, used, others)


def percentile(ordered: tuple[float, ...], share: float) -> float:
    """The smallest value that at least this share does not exceed; not a number where there is none."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _faults(errors: ExceptionGroup) -> Iterator[BenchmarkError]:
    """What clients found wrong; whatever else failed stays in the group."""
    return (each for each in errors.exceptions if isinstance(each, BenchmarkError))


async def _client(connection: Connection, target: Target, log: _Log) -> None:
    while not log.stopped:
        request = next(target.requests)
        sent = perf_counter()
        answer = await connection.ask(request)
        log.spans.append((sent, perf_counter()))
        if answer.status != target.status:
            raise BenchmarkError(f"Expected {target.status}, got {answer.status}: {answer.body[:300]!r}")


def _times(watched: Mapping[str, int]) -> dict[str, float]:
    return {name: processor_time.of_process(pid) for name, pid in watched.items()}
