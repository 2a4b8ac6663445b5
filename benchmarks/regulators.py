"""The five speeds of the issue "Audit and regulators", each beside its bound: `python -m benchmarks.regulators`.

It prints a page; `--write` puts it where the last run is kept.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks import auditing, erasing, exporting
from benchmarks.deployment import free_ports, running, server_command, server_environment
from fhir_server.cli.token import issue
from fhir_server.kernel.clock import SystemClock, instant
from fhir_server.settings import Settings
from fhir_server.smart.token import Claims
from fhir_server.store.embedded import EmbeddedMongo

_PAGE = Path(__file__).parent / "results" / "regulators.md"
_CLAIMS = Claims("benchmarks", "benchmarks", ("system/*.cruds",), timedelta(hours=2))


class Row(NamedTuple):
    what: str
    found: str
    bound: str
    kept: bool
    more: str


def _measured(resources: int, photos: int) -> list[Row]:
    """On two databases: a worker that still indexes a hundred thousand events would be measured with the exports."""
    return [*_of_log(), *_of_what_leaves(resources, photos)]


def _of_log() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder, _mongo(folder) as (mongo, mongod):
        port, bare_port = free_ports(2)
        environment, token = _deployment(mongo, folder, port)
        logs, floor = Path(folder), (sys.executable, "-m", "benchmarks.unrecorded", str(bare_port))
        with (
            running((*server_command(), "serve"), environment, logs / "server.log") as server,
            running(floor, environment, logs / "floor.log") as bare,
        ):
            rows = asyncio.run(_of_reads([(server, port), (bare, bare_port)], mongod, token))
            return [*rows, *_of_events(environment, mongod)]


def _of_what_leaves(resources: int, photos: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder, _mongo(folder) as (mongo, mongod):
        [port] = free_ports(1)
        environment, token = _deployment(mongo, folder, port)
        logs, command = Path(folder), server_command()
        with (
            running((*command, "serve"), environment, logs / "server.log") as server,
            running((*command, "work"), environment, logs / "worker.log") as worker,
        ):
            place = exporting.Place(port, token, server, worker, mongod)
            asyncio.run(exporting.filled(place, resources))
            filled = time.monotonic()
            last = _of_erasing(photos)  # meanwhile what is to be exported grows old
            time.sleep(max(0.0, exporting.SETTLED - (time.monotonic() - filled)))
            return [*asyncio.run(_of_exports(place)), last]


def _deployment(mongo: str, folder: str, port: int) -> tuple[dict[str, str], str]:
    """Its settings, and a token for all of it."""
    environment = server_environment(mongo, folder, port) | {"FHIR_SERVER_WORKER_INTERVAL": "0.05"}
    return environment, _token(Settings.from_environment(environment))


@contextmanager
def _mongo(folder: str) -> Iterator[tuple[str, int]]:
    with EmbeddedMongo(Path(folder) / "mongo") as mongo:
        assert mongo.pid is not None
        yield mongo.uri, mongo.pid


def _token(settings: Settings) -> str:
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(lambda: asyncio.run(issue(settings, _CLAIMS))).result()


async def _of_reads(servers: Sequence[tuple[int, int]], mongod: int, token: str) -> list[Row]:
    await auditing.filled(servers[0][1], token)
    return [await _read_by(clients, servers, mongod, token) for clients in auditing.CLIENTS]


async def _read_by(clients: int, servers: Sequence[tuple[int, int]], mongod: int, token: str) -> Row:
    recorded, bare, ratio = await auditing.reads(servers, mongod, token, clients)
    told = "; ".join(
        f"{name} {cost.server:.2f} ms of the server and {cost.database:.2f} ms of the database"
        for name, cost in (("recorded", recorded), ("not", bare))
    )
    what = f"processor time of a read, recorded ÷ not, {clients} clients"
    return Row(what, f"{ratio:.2f}", "1.3", ratio <= 1.3, told)


def _of_events(environment: dict[str, str], mongod: int) -> list[Row]:
    written = auditing.events(environment, mongod)
    at_best = 1e3 * (os.cpu_count() or 1) / written.processor
    more = f"{written.processor:.3f} ms of processor time each, so {at_best:,.0f}/s if nothing else ran"
    return [Row("events acknowledged, two processes", f"{written.rate:,.0f}/s", "3,000/s", written.rate >= 3_000, more)]


async def _of_exports(place: exporting.Place) -> list[Row]:
    all = await exporting.exported(place)
    told = (
        f"{all.resources:,} resources: listed in {all.listing:.1f} s ({all.listing_cost:.2f} ms of processor time "
        f"each), fetched in {all.fetching:.1f} s ({all.fetching_cost:.2f} ms each)"
    )
    one = await exporting.everything(place)
    more = f"{one.resources:,} entries, {one.processor:.2f} s of processor time"
    return [
        Row("export, lists and downloads", f"{all.rate:,.0f} resources/s", "3,000/s", all.rate >= 3_000, told),
        Row("memory that the export took", f"{all.grown:.0f} MB", "flat", all.grown <= 64, "server or worker, at most"),
        Row("`$everything` of 1,000 resources", f"{one.seconds:.2f} s", "0.5 s", one.seconds <= 0.5, more),
    ]


def _of_erasing(photos: int) -> Row:
    with erasing.served() as (port, tokens):
        inaccessible, destroyed = asyncio.run(erasing.measured(port, tokens, 1_000, photos))
    what = f"erasing 1,000 resources and {photos} photos"
    return Row(what, f"{destroyed:.2f} s", "2 s", destroyed <= 2, f"inaccessible after {inaccessible:.2f} s")


def page(rows: Sequence[Row], spent: float, load: float) -> str:
    """`load`: programs that wanted a processor, when the run began."""
    lines = "\n".join(
        f"| {row.what} | {row.found} | {row.bound} | {'yes' if row.kept else 'no'} | {row.more} |" for row in rows
    )
    return f"""# Audit and exports: the last run of `make bench-regulators`

Server, worker, database and driver shared {os.cpu_count()} processors with other programs: {load:.1f} wanted one when
the run began. Python {platform.python_version()}, {instant(SystemClock().now())[:10]}, {spent:.0f} s in all. Times and
rates are those of a clock, so they say as much about the load as about the server; processor time says less of it.

| what | found | bound | kept | more |
|------|-------|-------|------|------|
{lines}

A read is compared with one from a server that looks in the same way whether token and legal basis still hold, and draws
up, seals and writes no event; the log's tree is made by a worker and is in neither. An event is that of a read, sealed,
durable on disk when it counts: those of reads that arrive together share one insert, so the more ask at once, the less
each costs. An export begins five seconds after its kick-off, when whatever was being committed is
there; these are not counted. Each of its files is read again, decided on and recorded when it is fetched.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regulators", description=__doc__)
    parser.add_argument("--resources", type=int, default=10_000, help="resources that are exported")
    parser.add_argument("--photos", type=int, default=200, help="photos of the patient who is erased")
    parser.add_argument("--write", action="store_true", help=f"write {_PAGE.name}")
    arguments = parser.parse_args()
    load, began = os.getloadavg()[0], time.perf_counter()
    found = page(_measured(arguments.resources, arguments.photos), time.perf_counter() - began, load)
    if arguments.write:
        _PAGE.write_text(found)
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
