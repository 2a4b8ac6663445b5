"""What a worker does all the time: queued work, and now and then a backup that it tries out.

S62, S63: a backup nobody restored is none. Of all workers of a clinic one makes the drill of each interval.
"""

import asyncio
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from fhir_server.chosen import root_key
from fhir_server.cli.drill import Drill, drill, file
from fhir_server.cli.instants import written
from fhir_server.cli.rotating import rotations
from fhir_server.clinic import Clinic
from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.kernel.errors import FhirError
from fhir_server.settings import Settings
from fhir_server.store.backup.creating import open_backups

_log = logging.getLogger("fhir_server.drill")
_BETWEEN_LOOKS = 600.0
"""Seconds; also before the first look: what is started only to be tried makes no backup."""


async def working(clinic: Clinic) -> None:
    """Until cancelled."""
    also = [drills(clinic)] if clinic.settings.drill_hours else []
    await asyncio.gather(clinic.background(), rotations(clinic), *also)


async def drills(clinic: Clinic, between: float = _BETWEEN_LOOKS) -> None:
    """A fault is logged by its type and filed; it never ends the worker."""
    while True:
        await asyncio.sleep(between)
        try:
            if await _is_ours(clinic):
                found = await backed_up_and_tried(clinic)
                await file(clinic, found)
                _log.log(
                    logging.WARNING if found.difference else logging.INFO, "drill of a backup: %s", _outcome(found)
                )
        except Exception as error:  # noqa: BLE001  the database may be away; the worker stays
            _log.warning("drill of a backup: %s", type(error).__name__)


async def backed_up_and_tried(clinic: Clinic) -> Drill:
    settings, clock = clinic.settings, clinic.surface.clock
    now = clock.now()
    with _places(settings, now) as (data, keys):
        try:
            provider = root_key(settings)
            base = f"{settings.base_url}/fhir"
            async with open_backups(
                settings.mongo_uri, settings.database, base, provider, clock, RandomBytes()
            ) as backups:
                await backups.create(data, keys)
        except (CryptoError, FhirError) as fault:
            return Drill("", written(now), f"it was not finished. {fault}")
        return await drill(settings, data, keys)


async def _is_ours(clinic: Clinic) -> bool:
    """True for the first who asks in an interval, in whatever process."""
    length = timedelta(hours=clinic.settings.drill_hours)
    now = clinic.surface.clock.now()
    interval = int(now.timestamp() // length.total_seconds())
    return await asyncio.to_thread(clinic.store.handles.once, "drill", str(interval), now + 2 * length)


@contextmanager
def _places(settings: Settings, now: datetime) -> Iterator[tuple[Path, Path]]:
    """Where backups are kept; where none are, a place that goes with the drill."""
    if settings.backup_dir is not None and settings.backup_keys_dir is not None:
        yield settings.backup_dir / written(now), settings.backup_keys_dir / written(now)
        return
    with tempfile.TemporaryDirectory(prefix="drill-", dir=settings.data_dir) as folder:
        yield Path(folder) / "data", Path(folder) / "keys"


def _outcome(found: Drill) -> str:
    """Without words of its own: a difference may name a row."""
    return "a difference was found, the record says which" if found.difference else "no difference"
