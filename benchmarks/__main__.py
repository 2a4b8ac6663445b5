"""`python -m benchmarks`: measure, print a table, leave it in `benchmarks/results/`.

About three minutes; with `--quick` half a minute, and then nothing is left unless `--output` says where.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from benchmarks.connection import BenchmarkError
from benchmarks.deployment import deployed
from benchmarks.report import standing_table, table, write
from benchmarks.results import Result, results, surroundings
from benchmarks.run import FULL, QUICK, Plan, run
from benchmarks.standing import Standing, standing
from fhir_server.kernel.json import Json
from fhir_server.store.mongod import EmbeddedMongoError

_RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short windows, one round: to see that it works")
    parser.add_argument("--processes", type=int, default=1, help="how many of the server answer; default 1")
    parser.add_argument("--output", type=Path, help="folder for the results; default benchmarks/results")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    output = arguments.output or (None if arguments.quick else _RESULTS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found, stood, around = runner.run(_measured(plan, arguments.processes))
    except (BenchmarkError, EmbeddedMongoError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(table(found))
    print(standing_table(stood))
    if output:
        write(output, found, stood, around)
    return 0


async def _measured(plan: Plan, processes: int) -> tuple[list[Result], list[Standing], Json]:
    with deployed(processes) as deployment:
        taken = [one async for one in run(deployment, plan, _tell)]
        _tell("start, memory, validation")
        return results(taken), standing(deployment), surroundings(deployment.mongo_uri, plan, processes)


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
