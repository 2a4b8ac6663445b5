"""`fhir-server retention`: whose files have been kept for as long as they must be, and proposals to end them.

Row B8 of the obligations. It lists ids alone, and destroys nothing: that takes two people.
"""

import argparse
import asyncio

from fhir_server.app import open_clinic
from fhir_server.chosen import THE_SERVER, retention
from fhir_server.cli import place
from fhir_server.cli.record import record
from fhir_server.privacy.due import Due, DueList
from fhir_server.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=["due", "propose"], help="due: list them. propose: and file a Task for each, to be signed off"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    asyncio.run(_retention(place.beside(settings), proposing=arguments.action == "propose"))
    return 0


async def _retention(settings: Settings, *, proposing: bool) -> None:
    async with open_clinic(settings) as clinic:
        await record(clinic, "retention-propose" if proposing else "retention-due")
        pack = retention(settings)
        unverified = sum(not rule.verified for rule in pack.rules)
        print(f"Rules of {pack.name}; {unverified} of {len(pack.rules)} unverified: have them checked where you are.")
        due = DueList(clinic.engine, clinic.store.holdings, pack, clinic.surface.clock, THE_SERVER)
        count = 0
        async for one in due.walk():
            count += 1
            filed = await due.propose(one) if proposing and one.request is None else None
            print(_line(one, str(filed) if filed else ""), flush=True)
        print(f"{count} due.")


def _line(due: Due, filed: str) -> str:
    over = ", ".join(f"{one.record} by {one.because}" for one in due.over)
    asked = f"; asked for by {due.request}" if due.request else ""
    return f"{due.patient}: {over}{asked}{f'; proposed by {filed}' if filed else ''}"
