"""A backup tried out: restored into a mongod of its own, read, searched, compared; and the result filed.

S63, T52; sealed-storage section 3. What is written down is a DocumentReference in the clinic's own record, under the
server's name, with the result signed inside it.
"""

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fhir_server.app import open_clinic
from fhir_server.chosen import THE_SERVER, root_key
from fhir_server.clinic import Clinic
from fhir_server.crypto.errors import ArchiveError, CryptoError
from fhir_server.crypto.jws import sign_jws
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.crypto.signing import Signer
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.classification import DRILL, RECEIPT_SYSTEM
from fhir_server.kernel import json
from fhir_server.kernel.clock import SystemClock, instant
from fhir_server.kernel.errors import FhirError, ForbiddenError, NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey, random_id
from fhir_server.search.parse import parse
from fhir_server.settings import Settings
from fhir_server.store.backup.restoring import Restored, Restoring, stated
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongod import EmbeddedMongoError
from fhir_server.store.tree_walk import BreakError

DRILL_TYPE = "drill+jws"
_CACHE_GIB = 0.25


@dataclass(frozen=True, slots=True)
class Drill:
    """`difference`: the first one; empty where there was none. `rows`: of each collection, as compared."""

    backup: str
    shows: str
    difference: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    opened: int = 0
    erased: int = 0
    events: int = 0
    read: int = 0
    searched: int = 0
    photos: int = 0

    @property
    def words(self) -> str:
        if self.difference:
            return f"The backup of {self.shows} was not restored as it should be: {self.difference}"
        return (
            f"The backup of {self.shows} was restored without a difference: {sum(self.rows.values())} rows of "
            f"{len(self.rows)} collections, {self.opened} versions opened ({self.erased} erased since), "
            f"{self.events} events in the log; {self.searched} searches, {self.read} reads, {self.photos} photos."
        )


async def drill(settings: Settings, data: Path, keys: Path, said: Callable[[str], None] = lambda _: None) -> Drill:
    """Never raises for what is wrong with the backup: that is its result."""
    try:
        of_data = stated("data", data)
    except (CryptoError, FhirError) as fault:
        return Drill("", "an unknown instant", str(fault))
    begun = Drill(of_data.id, of_data.instant)
    try:
        provider = root_key(settings)
        async with _scratch(settings) as uri:
            restored = await Restoring(uri, provider, SystemClock(), RandomBytes(), said).run(data, keys)
            base = restored.data.base.removesuffix("/fhir")
            scratch = replace(settings, mongo_uri=uri, database=restored.data.clinic, base_url=base)
            return await _tried(begun, restored, scratch)
    except (CryptoError, FhirError, EmbeddedMongoError, OSError) as fault:
        return replace(begun, difference=str(fault) or type(fault).__name__)


async def open_keys(settings: Settings, keys: Path) -> int:
    """Restores a backup of the keys alone and opens each of them; how many. Raises what is wrong with it."""
    async with _scratch(settings) as uri:
        provider = root_key(settings)
        return await Restoring(uri, provider, SystemClock(), RandomBytes()).open_keys(keys)


async def file(clinic: Clinic, found: Drill) -> ResourceKey:
    """The result, signed, in the register: recorded like every other write."""
    now = clinic.surface.clock.now()
    key = ResourceKey("DocumentReference", f"drill-{random_id()}")
    secret = await clinic.keyring.named("receipts", KeyClass.SIGNING)
    statement = json.encode({"kind": DRILL, "clinic": clinic.settings.database, "at": instant(now), **_told(found)})
    signed = sign_jws(statement, secret, Signer(secret).public, "receipts", DRILL_TYPE)
    code = {"system": RECEIPT_SYSTEM, "code": DRILL, "display": "Drill of a backup"}
    resource = {
        "resourceType": key.type,
        "id": key.id,
        "status": "current",
        "type": {"coding": [code]},
        "date": instant(now),
        "description": found.words,
        "content": [
            {
                "attachment": {
                    "contentType": "application/jose",
                    "data": base64.b64encode(signed.encode()).decode(),
                    "title": "Result of a drill (signed)",
                    "creation": instant(now),
                }
            }
        ],
    }
    call = Call(Interaction.UPDATE, THE_SERVER, now, key.type, key.id)
    await clinic.engine.commit(call, clinic.engine.drafts.of(key, resource))
    return key


def _told(found: Drill) -> dict[str, Any]:
    return {
        "backup": found.backup,
        "shows": found.shows,
        "result": "different" if found.difference else "same",
        "difference": found.difference,
        "rows": found.rows,
        "opened": found.opened,
        "erased": found.erased,
        "events": found.events,
        "read": found.read,
        "searched": found.searched,
        "photos": found.photos,
    }


@asynccontextmanager
async def _scratch(settings: Settings) -> AsyncIterator[str]:
    """A mongod beside the data of the server; it holds nothing but sealed rows, and nothing of it stays."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="drill-", dir=settings.data_dir) as folder:
        mongo = EmbeddedMongo(Path(folder), cache_gib=_CACHE_GIB)
        await asyncio.to_thread(mongo.start)
        try:
            yield mongo.uri
        finally:
            await asyncio.to_thread(mongo.stop)


async def _tried(begun: Drill, restored: Restored, scratch: Settings) -> Drill:
    rebuilt = restored.rebuilt
    found = replace(begun, rows=restored.data.rows, opened=rebuilt.opened, erased=rebuilt.erased)
    if rebuilt.damaged:
        return replace(found, difference=f"{len(rebuilt.damaged)} versions do not open: {rebuilt.damaged[0]} first.")
    async with open_clinic(scratch) as clinic:
        events = await clinic.store.events.index()
        if events != restored.data.rows.get("audit", 0):
            raise ArchiveError(f"{events} events of the log open, {restored.data.rows.get('audit', 0)} were backed up.")
        await _verified(clinic)
        read, searched = await _asked(clinic, rebuilt.alive)
        for photo in rebuilt.photos:
            await _look_at(clinic, photo)
        return replace(found, events=events, read=read, searched=searched, photos=len(rebuilt.photos))


async def _verified(clinic: Clinic) -> None:
    """The restored log is whole and under its checkpoints, and every row is as it recorded it. Raises ArchiveError."""
    try:
        await clinic.store.verification.verify(())
    except BreakError as fault:
        raise ArchiveError(f"The log: {fault}") from None


async def _look_at(clinic: Clinic, id: str) -> None:
    """To its last byte: a chunk that is missing or altered is found. Nothing of it leaves this function."""
    photo = await clinic.store.photos.find(id)
    if photo is None:
        raise ArchiveError("A photo is not there.")
    size = 0
    async for part in clinic.store.photos.stream(photo, 0, photo.length):
        size += len(part)
    if size != photo.length:
        raise ArchiveError("A photo is not as long as it was.")


async def _asked(clinic: Clinic, alive: Mapping[str, int]) -> tuple[int, int]:
    """By the engine, like anybody: one search of each type, and a read of what it finds. Raises ArchiveError."""
    read = searched = 0
    for type, count in sorted(alive.items()):
        call = Call(Interaction.SEARCH_TYPE, THE_SERVER, clinic.surface.clock.now(), type)
        try:
            page = await clinic.engine.search(call, parse(type, [("_count", "3")]))
        except (ForbiddenError, NoLegalBasisError):
            continue  # photos without a consent: refused, as they should be
        searched += 1
        if not page.matches and type not in _DECIDED:
            raise ArchiveError(f"{type}: {count} were restored, a search finds none.")
        for one in page.matches:
            again = replace(call, interaction=Interaction.READ, id=one.key.id)
            if (await clinic.engine.read(again)).version != one.version:
                raise ArchiveError(f"{type}: a read gives another version than a search.")
            read += 1
    return read, searched


_DECIDED = frozenset({"Media", "Binary"})
"""Whether these are shown is decided by consents."""
