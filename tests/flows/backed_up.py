"""A clinic with something of each kind in it, and backups of it."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.kernel.clock import SystemClock
from fhir_server.store.backup.creating import Backups, open_backups
from fhir_server.store.backup.restoring import Restored, Restoring
from tests.clinics import InProcess
from tests.samples import consent, jpeg, media, patient

FAMILY = "Backedupsen"


@dataclass(frozen=True)
class Taken:
    """Where a backup lies, and what was in the clinic then."""

    data: Path
    keys: Path
    person: str
    photo: str
    bytes: bytes


@asynccontextmanager
async def backups(inside: InProcess, said: Callable[[str], None] = lambda _: None) -> AsyncIterator[Backups]:
    settings = inside.clinic.settings
    provider = FileProvider(settings.root_key_file)
    async with open_backups(
        settings.mongo_uri, settings.database, inside.base, provider, SystemClock(), secrets.token_bytes, said
    ) as found:
        yield found


async def fill(inside: InProcess) -> tuple[str, str, bytes]:
    """A patient of two versions with a consented photo, a deleted resource, a large document; the photo's address."""
    doctor = inside.caller()
    person = await doctor.store(patient(FAMILY))
    await doctor.put(f"/fhir/Patient/{person['id']}", {**person, "birthDate": "1974-12-25"})
    gone = await doctor.store(patient("Deletedsen"))
    await doctor.delete(f"/fhir/Patient/{gone['id']}")
    await doctor.store(consent(person["id"]))
    photo = jpeg(300_000, plain=True)
    shown = await doctor.store(media(person["id"], photo))
    await doctor.get(f"/fhir/Patient/{person['id']}")
    return person["id"], shown["content"]["url"], photo


async def taken(inside: InProcess, folder: Path) -> Taken:
    person, photo, content = await fill(inside)
    async with backups(inside) as found:
        await found.create(folder / "data", folder / "keys")
    return Taken(folder / "data", folder / "keys", person, photo, content)


async def restored(uri: str, data: Path, keys: Path, root: Path) -> Restored:
    return await Restoring(uri, FileProvider(root), SystemClock(), secrets.token_bytes).run(data, keys)
