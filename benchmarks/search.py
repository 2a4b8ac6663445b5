"""`python -m benchmarks.search`: the searches that a clinic lives on, beside the same ones on plain documents.

With `--patients` as many as wanted; each size leaves a file, and the page compares the sizes. About two minutes for
5,000; for 200,000 it loads more than a million resources first, and they need some 6 GB in the temporary folder.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import msgspec
import uvloop

from benchmarks import payloads
from benchmarks.connection import BenchmarkError, Connection
from benchmarks.deployment import Deployment, deployed
from benchmarks.load import Target, Window, measure, percentile
from benchmarks.population import Population, fill_plain, fill_server
from benchmarks.results import surroundings
from benchmarks.run import FULL, QUICK, Plan
from benchmarks.search_report import page
from benchmarks.searches import SEARCHES, Search, plainly, sealed
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.store.mongod import EmbeddedMongoError

_RESULTS = Path(__file__).parent / "results"
_CLIENTS = 16
_CHECKED = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--patients", type=int, default=5000, help="a multiple of 20, up to 200,000; default 5000")
    parser.add_argument("--quick", action="store_true", help="short windows, one round: to see that it works")
    parser.add_argument("--processes", type=int, default=1, help="how many of the server answer; default 1")
    parser.add_argument("--output", type=Path, help="folder for the results; default benchmarks/results")
    arguments = parser.parse_args()
    if not 0 < arguments.patients <= 200_000 or arguments.patients % payloads.SAME_NAME:
        parser.error("--patients is a multiple of 20, up to 200,000")
    output = arguments.output or (None if arguments.quick else _RESULTS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            plan = QUICK if arguments.quick else FULL
            found = runner.run(_run(Population(arguments.patients), plan, arguments.processes))
    except (BenchmarkError, EmbeddedMongoError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(page([found]))
    if output:
        _write(output, found)
    return 0


async def _run(people: Population, plan: Plan, processes: int) -> Json:
    with deployed(processes) as deployment:
        _tell(f"loading {people.patients} patients")
        await fill_server(deployment, people)
        await asyncio.to_thread(fill_plain, deployment.mongo_uri, people)
        await _check(deployment, people)
        taken: dict[str, dict[str, list[Window]]] = {each.name: {"sealed": [], "plain": []} for each in SEARCHES}
        targets = {
            (search.name, how): make(deployment, people, search)
            for search in SEARCHES
            for how, make in (("sealed", sealed), ("plain", plainly))
        }
        for turn in range(plan.rounds):
            for (name, how), target in targets.items():
                _tell(f"round {turn + 1} of {plan.rounds}: {name}, {how}")
                taken[name][how].append(await _window(deployment, target, plan))
        rows = [_row(search, taken[search.name]) for search in SEARCHES]
        return {**surroundings(deployment.mongo_uri, plan, processes), "patients": people.patients, "searches": rows}


async def _window(deployment: Deployment, target: Target, plan: Plan) -> Window:
    processes: Mapping[str, int | None] = {
        "server": deployment.server.pid,
        "floor": deployment.floor.pid,
        "database": deployment.mongod,
    }
    return await measure(target, _CLIENTS, plan.seconds, plan.warm_up, processes)


async def _check(deployment: Deployment, people: Population) -> None:
    """A search that finds nothing would be fast: both ways find what there is, and the same."""
    for search in SEARCHES:
        for make in (sealed, plainly):
            target = make(deployment, people, search)
            for _ in range(_CHECKED):
                asked = next(target.requests)
                hits = await _hits(target.port, asked)
                if search.hits is not None and hits != search.hits:
                    raise BenchmarkError(f"{search.name} should find {search.hits} and found {hits}.")


async def _hits(port: int, asked: bytes) -> int:
    connection = await Connection.open(port)
    try:
        answer = await connection.ask(asked)
    finally:
        await connection.close()
    if answer.status != 200:
        raise BenchmarkError(f"A search was answered {answer.status}: {answer.body[:300]!r}")
    return answer.body.count(b'"mode":"match"')


def _row(search: Search, taken: Mapping[str, list[Window]]) -> Json:
    return {
        "search": search.name,
        "least": search.least,
        "sealed": _figures(taken["sealed"], "server"),
        "plain": _figures(taken["plain"], "floor"),
    }


def _figures(windows: list[Window], process: str) -> Json:
    """Medians of the rounds; latencies and processor times in milliseconds."""

    def middle(value: Callable[[Window], float]) -> float:
        return round(median(value(window) for window in windows), 3)

    return {
        "rate": middle(lambda one: one.done / one.seconds),
        "p50": middle(lambda one: 1000 * percentile(one.latencies, 0.5)),
        "p95": middle(lambda one: 1000 * percentile(one.latencies, 0.95)),
        "server": middle(lambda one: 1000 * one.processor[process] / max(one.done, 1e-9)),
        "database": middle(lambda one: 1000 * one.processor["database"] / max(one.done, 1e-9)),
        "others": middle(lambda one: one.others / one.seconds),
    }


def _write(folder: Path, found: Json) -> None:
    """Beside the sizes that were measured before."""
    folder.mkdir(exist_ok=True)
    content = msgspec.json.format(json.encode(found), indent=2) + b"\n"
    (folder / f"search-{found['patients']}.json").write_bytes(content)
    sizes = [json.decode(file.read_bytes()) for file in folder.glob("search-*.json")]
    text = page(sorted(sizes, key=lambda one: int(one["patients"])))
    (folder / "search.md").write_text(text, encoding="utf-8")


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
