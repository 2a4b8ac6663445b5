"""`fhir-server keys rotate`: a new version of the root key. What was erased before it is unrecoverable when it is done.

sealed-storage section 3; GDPR Art. 17. The steps; killed at any instant, the command is given again and goes on:

1. Finish what destructions left to renew.
2. A further version of the root; none where an earlier rotation still has old versions to destroy.
3. Everything that the root wraps, under the newest version.
4. A backup of the keys, restored elsewhere, every key in it opened: those from before are about to be useless.
5. The old versions are destroyed, unless they are to be kept until the root key file was copied.
"""

from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.chosen import root_key
from fhir_server.cli.drill import open_keys
from fhir_server.cli.record import record
from fhir_server.cli.scheduled import written
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.kernel.clock import SystemClock
from fhir_server.privacy.finality import renew_root, retire_root
from fhir_server.settings import Settings
from fhir_server.store.backup.creating import open_backups


async def rotate(settings: Settings, keys: Path, *, keep_old: bool) -> None:
    """The backup goes into a folder of its own in `keys`: of what a killed command left there nothing is relied on."""
    async with open_clinic(settings) as clinic:
        await record(clinic, "keys-rotate")
        rekeying, rotations = clinic.keyring.rekeying, clinic.store.rotations
        version = await renew_root(rekeying, rotations)
        print(f"Everything stands under version {version} of the root key.", flush=True)
        place = keys / written(clinic.surface.clock.now())
        opened = await _backed_up(settings, place)
        print(f"A backup of the keys was taken, restored elsewhere, and its {opened} keys opened: {place}", flush=True)
        if keep_old:
            print("Old versions live on. Copy what keeps the root; then give the command again, without --keep-old.")
            return
        note = await retire_root(rekeying, rotations, version, clinic.surface.clock.now())
        print(f"Versions up to {note.destroyed_up_to} are destroyed. {note.note}")
        print("What was erased before is unrecoverable from then on; the worker files a receipt of each.")
        if not settings.root_key:
            print("Copies of the root key file from before open nothing that is written now: replace them by this one.")


async def _backed_up(settings: Settings, keys: Path) -> int:
    provider = root_key(settings)
    base = f"{settings.base_url}/fhir"
    async with open_backups(
        settings.mongo_uri, settings.database, base, provider, SystemClock(), RandomBytes()
    ) as backups:
        await backups.of("keys", keys)
    return await open_keys(settings, keys)
