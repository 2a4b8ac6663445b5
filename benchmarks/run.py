"""One run: fill the database, then take every figure in turn, round after round, so that all meet the same noise."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from benchmarks import payloads
from benchmarks.connection import BenchmarkError, Connection
from benchmarks.deployment import Deployment
from benchmarks.figures import CLIENTS, FIGURES, PATIENTS, request, targets
from benchmarks.load import Window, measure

_LOCATION = re.compile(rb'"location":"[^"]*/Patient/([A-Za-z0-9.\-]+)/_history/1"')


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of one window, of the load before it, and how often each window is taken."""

    seconds: float
    warm_up: float
    rounds: int


FULL = Plan(4.0, 1.0, 3)
QUICK = Plan(1.0, 0.3, 1)


@dataclass(frozen=True, slots=True)
class Taken:
    figure: str
    clients: int
    window: Window


async def run(deployment: Deployment, plan: Plan, tell: Callable[[str], None]) -> AsyncIterator[Taken]:
    """Raises BenchmarkError as soon as one answer is not what it should be."""
    await _fill_floor(deployment)
    patients = await _fill_server(deployment)
    await _check_search(deployment)
    asked = targets(deployment, patients)
    processes: dict[str, int | None] = {
        "server": deployment.server.pid,
        "floor": deployment.floor.pid,
        "database": deployment.mongod,
    }
    for turn in range(plan.rounds):
        for clients in CLIENTS:
            for figure in FIGURES:
                tell(f"round {turn + 1} of {plan.rounds}, {clients:2} clients: {figure.name}")
                window = await measure(asked[figure.name], clients, plan.seconds, plan.warm_up, processes)
                yield Taken(figure.name, clients, window)


async def _fill_floor(deployment: Deployment) -> None:
    await _once(deployment.floor.port, request("POST", "/fill", "", payloads.other_patient(0)), 201)


async def _fill_server(deployment: Deployment) -> list[str]:
    """The ids of the searched patients."""
    found: list[str] = []
    for first in range(0, PATIENTS, payloads.ENTRIES):
        body = request("POST", "/fhir", deployment.token, payloads.searched_patients(first))
        answer = await _once(deployment.server.port, body, 200)
        found += [id.decode() for id in _LOCATION.findall(answer)]
    if len(found) != PATIENTS:
        raise BenchmarkError(f"{PATIENTS} patients were sent, {len(found)} ids came back.")
    return found


async def _check_search(deployment: Deployment) -> None:
    """A search that finds nothing would be fast."""
    for group in (0, PATIENTS // payloads.SAME_NAME - 1):
        asked = request("GET", f"/fhir/Patient?name={payloads.family(group)}", deployment.token)
        hits = (await _once(deployment.server.port, asked, 200)).count(b'"mode":"match"')
        if hits != payloads.SAME_NAME:
            raise BenchmarkError(f"The search should find {payloads.SAME_NAME} patients and found {hits}.")


async def _once(port: int, asked: bytes, status: int) -> bytes:
    connection = await Connection.open(port)
    try:
        answer = await connection.ask(asked)
    finally:
        await connection.close()
    if answer.status != status:
        raise BenchmarkError(f"Expected {status}, got {answer.status}: {answer.body[:300]!r}")
    return answer.body
