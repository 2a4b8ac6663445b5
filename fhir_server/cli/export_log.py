"""`fhir-server export-log`: every event with its proof, and the checkpoint, for `verify_export.py` on another machine.

Row S113; docs/how-to/verify-an-export.md. What it writes is readable: it is for who may read the log.
"""

import argparse
import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.audit.anchoring import Confirmed
from fhir_server.audit.ports import LogEntry
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.clinic import Clinic
from fhir_server.crypto import checkpoint, tree
from fhir_server.crypto.errors import SignatureError
from fhir_server.kernel import json
from fhir_server.outbound.http_witness import HttpWitness
from fhir_server.outbound.timestamping import TimeStamping
from fhir_server.settings import Settings

_AT_ONCE = 256


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="made; it must not be there yet")
    parser.add_argument(
        "--older", type=Path, metavar="FILE", help="a checkpoint from earlier: proves that the log only grew since"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    older = _size(arguments.older) if arguments.older else None
    asyncio.run(_export(place.beside(settings), arguments.folder, older))
    return 0


async def _export(settings: Settings, folder: Path, older: int | None) -> None:
    async with open_clinic(settings) as clinic:
        await record(clinic, "export-log")
        others = await clinic.anchoring.confirmed()  # before: what they saw is then a part of what is exported
        note = await clinic.store.log.newest()
        if note is None:
            raise CommandError("Nothing is in the log yet.")
        size = checkpoint.parsed(note).size
        if older is not None and older > size:
            raise CommandError(f"The log has {size} events: it is shorter than when that checkpoint was made.")
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        (folder / "checkpoint").write_text(note)
        (folder / "log.key").write_text(f"{clinic.surface.proofs.key}\n")
        if older is not None:
            hashes = await clinic.surface.proofs.hashes(tree.consistency(older, size))
            (folder / "growth").write_text("".join(f"{_base64(hashed)}\n" for hashed in hashes))
        await _vouched(clinic, folder, others, size)
        with (folder / "events.ndjson").open("wb") as file:
            async for lines in _lines(clinic, size):
                await asyncio.to_thread(file.write, lines)
    print(f"{size} events, and the checkpoint that signs them, are in {folder}.")


async def _vouched(clinic: Clinic, folder: Path, others: Sequence[Confirmed], size: int) -> None:
    """What others signed or stamped, and that the log only grew since."""
    for found in others:
        hashes = await clinic.surface.proofs.hashes(tree.consistency(checkpoint.parsed(found.note).size, size))
        (folder / f"{found.anchor}.growth").write_text("".join(f"{_base64(hashed)}\n" for hashed in hashes))
        signed = found.said if found.anchor == HttpWitness.name else ""
        (folder / f"{found.anchor}.checkpoint").write_text(found.note + signed)
        if found.anchor == TimeStamping.name:
            (folder / f"{found.anchor}.tsr").write_bytes(base64.b64decode(found.said))


async def _lines(clinic: Clinic, size: int) -> AsyncIterator[bytes]:
    """Some at a time: neighbours share most of what proves them."""
    some: list[LogEntry] = []
    async for entry in clinic.store.log.entries(size):
        some.append(entry)
        if len(some) == _AT_ONCE:
            yield await _proven(clinic, some, size)
            some = []
    if some:
        yield await _proven(clinic, some, size)


async def _proven(clinic: Clinic, entries: Sequence[LogEntry], size: int) -> bytes:
    paths = [tree.inclusion(entry.index, size) for entry in entries]
    spans = list({span for path in paths for span in path})
    hashes = dict(zip(spans, await clinic.surface.proofs.hashes(spans), strict=True))
    lines = [
        json.encode(
            {
                "index": entry.index,
                "event": entry.event.decode(),
                "salt": _base64(entry.salt),
                "entry": _base64(entry.entry),
                "proof": [_base64(hashes[span]) for span in path],
            }
        )
        for entry, path in zip(entries, paths, strict=True)
    ]
    return b"".join(line + b"\n" for line in lines)


def _size(file: Path) -> int:
    try:
        return checkpoint.parsed(file.read_text()).size
    except (SignatureError, UnicodeDecodeError):
        raise CommandError(f"{file} is no checkpoint.") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
