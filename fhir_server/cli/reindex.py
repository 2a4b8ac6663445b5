"""`fhir-server reindex`: rebuild the search index in the background, and let new SearchParameters take part.

sealed-storage section 2. Killed at any instant, it goes on where it was when it is started again.
"""

import argparse
import asyncio

from fhir_server.app import open_clinic
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.clinic import Clinic
from fhir_server.settings import Settings
from fhir_server.spoken import inside
from fhir_server.store.reindexing import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="only say whether it is needed: then the status is 1")
    parser.add_argument("--again", action="store_true", help="rewrite every row, also where nothing has changed")
    parser.add_argument(
        "--new-key",
        action="store_true",
        help="make all search tokens with a new key, and destroy the old one; where that was begun, finish it",
    )
    parser.add_argument(
        "--unsafe-alone",
        action="store_true",
        help="do not wait for writes of others; safe only while no server and no worker is running",
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    return asyncio.run(_reindex(place.beside(settings), arguments))


async def _reindex(settings: Settings, arguments: argparse.Namespace) -> int:
    parameters = inside(settings)
    async with open_clinic(settings) as clinic:
        reindexing = clinic.store.reindexing
        wanted = await reindexing.wanted(parameters)
        for id, why in wanted.problems.items():
            print(f"SearchParameter/{id} does not take part: {why}.")
        if arguments.check:
            due = await reindexing.is_due(wanted.layout)
            print("Rows are of an older version." if due else "Every row is as it should be.")
            return int(due)
        await record(clinic, "reindex-new-key" if arguments.new_key else "reindex")
        damaged = 0
        how = {"again": arguments.again, "new_key": arguments.new_key, "alone": arguments.unsafe_alone}
        async for progress in reindexing.run(wanted.layout, **how):
            print(_line(progress), flush=True)
            damaged = progress.damaged
        _tell_custom(clinic)
        if damaged:
            raise CommandError(f"{damaged} rows do not open, and are found as they were before, if at all.")
    return 0


def _tell_custom(clinic: Clinic) -> None:
    for type, parameters in sorted(clinic.store.layouts.active.custom.items()):
        print(f"{type} is also searched by {', '.join(sorted(parameters))}.")


def _line(progress: Progress) -> str:
    if not progress.rows:
        return progress.words
    share = 100 * progress.seen // progress.rows
    return f"{progress.words} {progress.seen} of {progress.rows} rows ({share} %), {progress.rewritten} rewritten"
