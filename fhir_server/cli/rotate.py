"""`fhir-server keys rotate`: a new version of the root key. What was erased before it is unrecoverable when it is done.

sealed-storage section 3; GDPR Art. 17. The steps; killed at any instant, the command is given again and goes on:

1. Finish what destructions left to renew.
2. A further version of the root; none where an earlier rotation still has old versions to destroy.
3. Everything that the root wraps, under the newest version.
4. A backup of the keys, restored elsewhere, every key in it opened: those from before are about to be useless.
5. The old versions are destroyed, unless they are to be kept until the root key file was copied.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.chosen import root_key
from fhir_server.cli.drill import open_keys
from fhir_server.cli.instants import written
from fhir_server.cli.record import record
from fhir_server.clinic import Clinic
from fhir_server.crypto.providers.port import DestructionNote
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.kernel.clock import SystemClock
from fhir_server.privacy.finality import renew_root, retire_root
from fhir_server.settings import Settings
from fhir_server.store.backup.creating import open_backups


async def rotate(settings: Settings, keys: Path, *, keep_old: bool) -> None:
    """By command."""
    async with open_clinic(settings) as clinic:
        note = await rotated(clinic, keys, keep_old=keep_old, said=_printed)
        if note is None:
            print("Old versions live on. Copy what keeps the root; then give the command again, without --keep-old.")
            return
        print(f"Versions up to {note.destroyed_up_to} are destroyed. {note.note}")
        print("What was erased before is unrecoverable from then on; the worker files a receipt of each.")
        if not settings.root_key:
            print("Copies of the root key file from before open nothing that is written now: replace them by this one.")


async def rotated(
    clinic: Clinic,
    keys: Path,
    *,
    keep_old: bool = False,
    said: Callable[[str], None] = lambda _: None,
    copied: Callable[[], None] = lambda: None,
) -> DestructionNote | None:
    """The backup goes into a folder of its own in `keys`: of what a killed command left there nothing is relied on.

    `copied` copies what keeps the root: before the old versions end, and without them afterwards.
    """
    await record(clinic, "keys-rotate")
    rekeying, rotations = clinic.keyring.rekeying, clinic.store.rotations
    version = await renew_root(rekeying, rotations)
    said(f"Everything stands under version {version} of the root key.")
    place = keys / written(clinic.surface.clock.now())
    opened = await _backed_up(clinic.settings, place)
    said(f"A backup of the keys was taken, restored elsewhere, and its {opened} keys opened: {place}")
    if keep_old:
        return None
    await asyncio.to_thread(copied)
    note = await retire_root(rekeying, rotations, version, clinic.surface.clock.now())
    await asyncio.to_thread(copied)
    return note


def _printed(line: str) -> None:
    print(line, flush=True)


async def _backed_up(settings: Settings, keys: Path) -> int:
    provider = root_key(settings)
    base = f"{settings.base_url}/fhir"
    async with open_backups(
        settings.mongo_uri, settings.database, base, provider, SystemClock(), RandomBytes()
    ) as backups:
        await backups.of("keys", keys)
    return await open_keys(settings, keys)
