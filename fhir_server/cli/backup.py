"""`fhir-server backup`: take one of the data and one of the keys, try both out, put them back.

S62, S63. A command that was killed is given again: `create` goes on where it stopped.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.chosen import root_key
from fhir_server.cli import place
from fhir_server.cli.drill import Drill, drill, file
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.kernel.clock import SystemClock
from fhir_server.settings import Settings
from fhir_server.store.backup.creating import open_backups
from fhir_server.store.backup.manifest import Manifest
from fhir_server.store.backup.restoring import Restored, Restoring, stated
from fhir_server.store.embedded import EmbeddedMongo


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, words in (
        ("create", "Back up the data to DIR, then the keys to KEYS. Killed, it is given again and goes on."),
        ("verify", "Restore a backup into a scratch mongod, compare and ask it; file the result."),
        ("restore", "Put a backup back into a clinic that is empty."),
    ):
        action = actions.add_parser(name, help=words, description=words)
        action.add_argument("dir", type=Path, metavar="DIR", help="the folder of the data")
        action.add_argument("--keys", type=Path, required=True, help="the folder of the keys, in another place")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    data, keys = arguments.dir, arguments.keys
    match arguments.action:
        case "create":
            asyncio.run(create(place.beside(settings), data, keys))
            return 0
        case "verify":
            return asyncio.run(_verify(settings, data, keys))
        case _:
            _restore(settings, data, keys)
            return 0


async def create(settings: Settings, data: Path, keys: Path) -> tuple[Manifest, Manifest]:
    async with open_clinic(settings) as clinic:
        await record(clinic, "backup-create")
    provider = root_key(settings)
    base = f"{settings.base_url}/fhir"
    async with open_backups(
        settings.mongo_uri, settings.database, base, provider, SystemClock(), RandomBytes(), _said
    ) as backups:
        taken = await backups.create(data, keys)
    for made in taken:
        print(f"{made.kind}: {sum(made.rows.values())} rows of {len(made.rows)} collections, as of {made.instant}")
    return taken


async def _verify(settings: Settings, data: Path, keys: Path) -> int:
    """Filed in the clinic that is running; where none is, the result is only printed."""
    found = await drill(settings, data, keys, _said)
    print(found.words)
    try:
        running = place.beside(settings)
    except CommandError:
        _said("There is no running server, so the result was not filed.")
    else:
        await filed(running, found)
    return 1 if found.difference else 0


async def filed(settings: Settings, found: Drill) -> None:
    async with open_clinic(settings) as clinic:
        await record(clinic, "backup-verify")
        _said(f"Filed as {await file(clinic, found)}.")


def _restore(settings: Settings, data: Path, keys: Path) -> None:
    clinic = stated("data", data).clinic
    if clinic != settings.database:
        raise CommandError(f"That is a backup of the clinic {clinic}: set FHIR_SERVER_DATABASE to it.")
    with _mongo(settings) as uri:
        restored = asyncio.run(_restored(replace(settings, mongo_uri=uri), data, keys))
    rebuilt = restored.rebuilt
    print(f"Restored as of {restored.data.instant}: {rebuilt.opened} versions, {rebuilt.erased} erased since.")
    for id in rebuilt.damaged:
        _said(f"{id} does not open: it was damaged before it was backed up.")


async def _restored(settings: Settings, data: Path, keys: Path) -> Restored:
    provider = root_key(settings)
    restored = await Restoring(settings.mongo_uri, provider, SystemClock(), RandomBytes(), _said).run(data, keys)
    async with open_clinic(settings) as clinic:
        await record(clinic, "backup-restore")
        await clinic.store.events.index()
    return restored


@contextmanager
def _mongo(settings: Settings) -> Iterator[str]:
    """The deployment that is named; else the embedded mongod of this data directory, which must not be running."""
    if settings.mongo_uri:
        yield settings.mongo_uri
        return
    with EmbeddedMongo(settings.data_dir / "mongo", cache_gib=settings.embedded_cache, patience=2) as mongo:
        yield mongo.uri


def _said(line: str) -> None:
    print(line, file=sys.stderr)
