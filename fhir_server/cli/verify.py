"""`fhir-server verify`: is the database what its own log says that it is? The first thing wrong is named.

Architecture section 4; row S94.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.audit.anchoring import AnchorError
from fhir_server.cli import place
from fhir_server.cli.record import record
from fhir_server.clinic import Clinic
from fhir_server.outbound.file_witness import FileWitness
from fhir_server.settings import Settings
from fhir_server.store.tree_walk import BreakError

_BROKEN = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint of this log that was kept elsewhere; may be given several times",
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    kept = [file.read_text() for file in arguments.checkpoint]
    if settings.audit_witness and (newest := FileWitness(settings.audit_witness).kept()):
        kept.append(newest)
    return asyncio.run(_verify(place.beside(settings), kept))


async def _verify(settings: Settings, kept: Sequence[str]) -> int:
    async with open_clinic(settings) as clinic:
        await record(clinic, "verify")
        try:
            print(await _sound(clinic, kept))
        except (BreakError, AnchorError) as found:
            print(f"BROKEN. {found}")
            return _BROKEN
    return 0


async def _sound(clinic: Clinic, kept: Sequence[str]) -> str:
    sound = await clinic.store.verification.verify(kept)
    lines = [
        f"Sound: {sound.entries} events in the tree, {sound.waiting} not in it yet, {sound.rows} rows as recorded.",
        f"Checkpoints kept elsewhere that it was compared with: {len(kept)}.",
        f"Who vouches for it: {await clinic.surface.proofs.assurance()}.",
        *(f"{found.anchor}: {found.words}." for found in await clinic.anchoring.confirmed()),
    ]
    if not kept:
        lines.append("Without one, a database that was put back as a whole to an earlier day looks like this too.")
    return "\n".join(lines)
