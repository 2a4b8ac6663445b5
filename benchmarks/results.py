"""From windows to figures: every number is the median of its rounds."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import cpu_count
from statistics import median

from pymongo import MongoClient

from benchmarks.figures import BUDGET_CLIENTS, BUDGET_FACTOR, FIGURES, Figure
from benchmarks.load import Window, percentile
from benchmarks.run import Plan, Taken
from fhir_server.kernel.clock import SystemClock, instant
from fhir_server.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Result:
    """One figure at one number of clients. Latencies and processor times in milliseconds, the latter per request.

    `rate_ratio` and `cost_ratio` compare with the floor: requests a second, and processor time of server and database.
    `budget` is what server and database may spend.
    """

    figure: Figure
    clients: int
    rate: float
    p50: float
    p95: float
    p99: float
    server: float
    database: float
    driver: float
    others: float
    rate_ratio: float | None = None
    cost_ratio: float | None = None
    budget: tuple[float, float] | None = None

    @property
    def cost(self) -> float:
        return self.server + self.database

    @property
    def within(self) -> bool | None:
        """Server and database together; None where nothing is laid down."""
        return None if self.budget is None else self.cost <= sum(self.budget)


def results(taken: Sequence[Taken]) -> list[Result]:
    """In the order of the figures, fewest clients first."""
    found: dict[tuple[str, int], Result] = {}
    for clients in sorted({one.clients for one in taken}):
        for figure in FIGURES:
            windows = [one.window for one in taken if (one.figure, one.clients) == (figure.name, clients)]
            if windows:
                floor = found.get((figure.floor or "", clients))
                found[figure.name, clients] = _result(figure, clients, windows, floor)
    return list(found.values())


def surroundings(mongo_uri: str, plan: Plan, answering: int) -> Json:
    """What a reader has to know of the run, and nothing that names the machine. `answering`: so many processes."""
    with MongoClient[Json](mongo_uri) as client:
        mongod = str(client.server_info()["version"])
    return {
        "measured": instant(SystemClock().now()),
        "processors": cpu_count(),
        "answering": answering,
        "python": platform.python_version(),
        "mongod": mongod,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
    }


def as_json(found: Sequence[Result]) -> list[Json]:
    return [
        {
            "figure": one.figure.name,
            "clients": one.clients,
            "resources_per_request": one.figure.resources,
            "requests_per_second": round(one.rate, 1),
            "latency_ms": {"p50": round(one.p50, 2), "p95": round(one.p95, 2), "p99": round(one.p99, 2)},
            "processor_ms_per_request": {
                "server": round(one.server, 3),
                "database": round(one.database, 3),
                "driver": round(one.driver, 3),
            },
            "of_the_floor": one.rate_ratio
            and {"rate": round(one.rate_ratio, 3), "processor_time": round(one.cost_ratio or 0, 2)},
            "budget_ms": one.budget and {"server": one.budget[0], "database": one.budget[1], "kept": one.within},
            "share_of_the_machine_used_by_others": round(one.others, 2),
        }
        for one in found
    ]


def _result(figure: Figure, clients: int, windows: Sequence[Window], floor: Result | None) -> Result:
    def middle(value: Callable[[Window], float]) -> float:
        return median(value(window) for window in windows)

    def spent(process: str) -> float:
        return middle(lambda window: window.processor[process] / max(window.done, 1e-9) * 1000)

    def latency(share: float) -> float:
        return middle(lambda window: percentile(window.latencies, share) * 1000)

    rate = middle(lambda window: window.done / window.seconds)
    server, database = spent("server" if figure.floor else "floor"), spent("database")
    allowed = figure.budget if clients == BUDGET_CLIENTS else None
    return Result(
        figure,
        clients,
        rate,
        latency(0.50),
        latency(0.95),
        latency(0.99),
        server,
        database,
        spent("driver"),
        middle(lambda window: window.others / window.seconds / (cpu_count() or 1)),
        rate / floor.rate if floor else None,
        (server + database) / floor.cost if floor else None,
        (round(BUDGET_FACTOR * allowed.server, 2), round(BUDGET_FACTOR * allowed.database, 2)) if allowed else None,
    )
