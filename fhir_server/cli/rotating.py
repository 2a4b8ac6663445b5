"""Rotation of the root key by the worker itself, so that what was erased is unrecoverable within the time that is set.

sealed-storage section 3; GDPR Art. 17, 5(2). Only while something that was destroyed waits for it, at the first half of
`FHIR_SERVER_UNRECOVERABLE_WITHIN`; of all workers of a clinic one tries in each eighth of it. It needs a place for
backups of the keys, for those from before open nothing afterwards; and a root key that is a file needs a place for its
copy, for the same is true of older copies. Whatever kept one from happening is told by the compliance report.
"""

import asyncio
import filecmp
import logging
import shutil
from datetime import timedelta

from fhir_server.cli.rotate import rotated
from fhir_server.clinic import Clinic
from fhir_server.crypto.errors import CryptoError, ProviderError
from fhir_server.kernel.errors import FhirError
from fhir_server.privacy.ports import Hindrance
from fhir_server.settings import Settings

_log = logging.getLogger("fhir_server.rotation")
_BETWEEN_LOOKS = 600.0


async def rotations(clinic: Clinic, between: float = _BETWEEN_LOOKS) -> None:
    """Until cancelled. A fault is logged by its type and kept for the report; it never ends the worker."""
    while True:
        await asyncio.sleep(between)
        try:
            await look(clinic)
        except Exception as error:  # noqa: BLE001  the database may be away; the worker stays
            _log.warning("rotation of the root key: %s", type(error).__name__)


async def look(clinic: Clinic) -> bool:
    """Was the root rotated?"""
    within = timedelta(hours=clinic.settings.unrecoverable_within)
    now, rotations = clinic.surface.clock.now(), clinic.store.rotations
    since = await rotations.waiting()
    if since is None or now - since < within / 2 or not await _is_ours(clinic, within / 8):
        return False
    keys, hindrance = clinic.settings.backup_keys_dir, hindered(clinic.settings)
    if keys is None or hindrance:
        await rotations.hindered(Hindrance(now, hindrance))
        return False
    try:
        await rotated(clinic, keys, copied=lambda: copied(clinic.settings))
    except (CryptoError, FhirError, OSError) as fault:
        await rotations.hindered(Hindrance(now, f"it failed: {type(fault).__name__}"))
        raise
    _log.info("the root key was rotated")
    await rotations.hindered(None)
    return True


def hindered(settings: Settings) -> str:
    """What keeps the worker from rotating; empty where nothing does."""
    if settings.backup_keys_dir is None:
        return "no place for backups of the keys is set"
    if not settings.root_key and settings.root_key_copy is None:
        return "the root key is a file, and no place for its copy is set"
    return ""


def copied(settings: Settings) -> None:
    """The root key file, where it is one, whole beside its old copy before it takes that one's place."""
    place = settings.root_key_copy
    if settings.root_key or place is None:
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    shutil.copyfile(settings.root_key_file, fresh)
    fresh.chmod(0o600)
    if not filecmp.cmp(settings.root_key_file, fresh, shallow=False):
        raise ProviderError("The copy of the root key file is another than the file.")
    fresh.replace(place)


async def _is_ours(clinic: Clinic, length: timedelta) -> bool:
    now = clinic.surface.clock.now()
    interval = int(now.timestamp() // length.total_seconds())
    return await asyncio.to_thread(clinic.store.handles.once, "rotation", str(interval), now + 2 * length)
