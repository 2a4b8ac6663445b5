"""HL7 v2 by MLLP at a given rate: how long it is from the instant at which a message was due to its answer.

A message that could not be sent in time counts from when it should have been: a server that falls behind shows it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from benchmarks.connection import BenchmarkError
from mappers.runtime.mllp import END, START

_LINES = 4
_STEPS = 3
WARMING = float(_STEPS)
"""Seconds that do not count: in each of them the first messages of a kind come, for which everything is new."""


def visit_of(place: int, rate: int) -> tuple[int, int]:
    """Number and step: a visit is moved a second after it was booked, and cancelled a second after that."""
    block, within = divmod(place, rate * _STEPS)
    step, number = divmod(within, rate)
    return block * rate + number, step


async def answered(
    address: tuple[str, int], rate: int, seconds: float, made: Callable[[int, int], bytes]
) -> list[float]:
    """Seconds to each answer, of those that were due once it was warm."""
    begun = perf_counter()
    total = int(rate * (seconds + WARMING))
    async with asyncio.TaskGroup() as group:
        lines = [
            group.create_task(_line(address, range(first, total, _LINES), begun, rate, made)) for first in range(_LINES)
        ]
    return [spent for line in lines for place, spent in line.result() if place >= rate * WARMING]


async def _line(
    address: tuple[str, int], places: range, begun: float, rate: int, made: Callable[[int, int], bytes]
) -> list[tuple[int, float]]:
    reader, writer = await asyncio.open_connection(*address)
    due: deque[tuple[int, float]] = deque()
    found: list[tuple[int, float]] = []

    async def hear() -> None:
        for _ in places:
            said = await reader.readuntil(END)
            if b"MSA|AA" not in said:
                raise BenchmarkError("A message is not accepted.")
            place, instant = due.popleft()
            found.append((place, perf_counter() - instant))

    hearing = asyncio.create_task(hear())
    for place in places:
        instant = begun + place / rate
        await asyncio.sleep(max(0.0, instant - perf_counter()))
        due.append((place, instant))
        writer.write(START + made(*visit_of(place, rate)) + END)
        await writer.drain()
    await hearing
    writer.close()
    await writer.wait_closed()
    return found
