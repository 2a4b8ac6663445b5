"""GDPR Art. 17: the worker rotates the root in time for what was erased, or the compliance report says why not."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fhir_server.accountability import unrecoverable
from fhir_server.cli import rotate, rotating
from fhir_server.cli.rotating import copied, hindered, look, rotations
from fhir_server.clinic import Clinic
from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.keys import KeyClass, KeyRequest
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.kernel.clock import SystemClock
from fhir_server.settings import Settings
from tests.clinics import InProcess, ended, read, running
from tests.people import staff

pytestmark = pytest.mark.anyio

BEGUN = SystemClock().now().replace(minute=30)


class Later:
    """A clock that stands, about so far ahead: in the middle of an hour, for in each of them there is one try."""

    def __init__(self, ahead: timedelta) -> None:
        self._now = BEGUN + ahead

    def now(self) -> datetime:
        return self._now


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("source")
    async with running(mongo_uri, "self_rotating", folder, worker_interval=3600, unrecoverable_within=8) as inside:
        yield inside


@pytest.fixture(autouse=True)
def _opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a backup of the keys is restored elsewhere has tests of its own."""

    async def opened(_: Settings, keys: Path) -> int:
        return len(str(keys))

    monkeypatch.setattr(rotate, "open_keys", opened)


async def destroyed(source: InProcess) -> None:
    request = KeyRequest((secrets.token_hex(8),), KeyClass.RECORD)
    key = (await source.clinic.keyring.data_keys([request]))[request]
    await source.clinic.keyring.destroy([key.id], "Consent/1/_history/2")


def in_hours(source: InProcess, hours: float, **settings: Path) -> Clinic:
    clock = Later(timedelta(hours=hours))
    inner = source.clinic
    surface = replace(inner.surface, clock=clock)
    return replace(inner, surface=surface, settings=replace(inner.settings, **settings))  # type: ignore[arg-type]  # by name


def places(folder: Path) -> dict[str, Path]:
    return {
        "backup_dir": folder / "data",
        "backup_keys_dir": folder / "keys",
        "root_key_copy": folder / "copy" / "root.json",
    }


async def told(source: InProcess, hours: float) -> tuple[bool, str]:
    clinic = in_hours(source, hours)
    found = await unrecoverable(clinic.settings, clinic.store, clinic.surface.clock.now())
    return found.holds, found.says


async def test_m2_what_was_destroyed_is_unrecoverable_in_time_without_a_command(
    source: InProcess, tmp_path: Path
) -> None:
    root = source.clinic.settings.root_key_file
    await rotate.rotated(source.clinic, tmp_path / "whatever else was destroyed")
    before = (await FileProvider(root).describe()).version
    assert not await look(in_hours(source, 100, **places(tmp_path))), "nothing waits"

    await destroyed(source)
    early = await look(in_hours(source, 3, **places(tmp_path)))
    waiting, late = await told(source, 1), await told(source, 9)
    done = await look(in_hours(source, 5, **places(tmp_path)))

    status = await FileProvider(root).describe()
    assert (early, done) == (False, True)
    assert (waiting[0], late[0]) == (True, False)
    assert (status.version, status.oldest) == (before + 1, before + 1)
    assert (tmp_path / "copy/root.json").read_bytes() == root.read_bytes()
    assert await told(source, 100) == (True, "Nothing that was destroyed waits for a rotation of the root key.")


async def test_m2_what_keeps_it_from_happening_is_told_by_the_report(source: InProcess, tmp_path: Path) -> None:
    await destroyed(source)
    officer = staff(source, "privacy-officer", person="Practitioner/officer")

    assert not await look(in_hours(source, 205))
    report = read(await officer.get("/fhir/$compliance-report"))

    assert "The root key was not rotated: no place for backups of the keys is set." in str(report)
    assert not await look(in_hours(source, 205, **places(tmp_path))), "one try in each eighth"
    without_copy = replace(in_hours(source, 0, **places(tmp_path)).settings, root_key_copy=None)
    assert hindered(without_copy) == "the root key is a file, and no place for its copy is set"
    assert hindered(replace(without_copy, root_key="pkcs11:token=clinic;object=root")) == ""


async def test_m2_one_that_fails_is_told_and_keeps_the_old_versions(
    source: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await destroyed(source)
    root = source.clinic.settings.root_key_file
    before = await FileProvider(root).describe()

    async def spoiled(*_: object) -> int:
        raise ArchiveError("keys, piece 0")

    with monkeypatch.context() as patch:
        patch.setattr(rotate, "open_keys", spoiled)
        with pytest.raises(ArchiveError):
            await look(in_hours(source, 305, **places(tmp_path)))
    failed = await told(source, 1)

    assert not failed[0]
    assert "it failed: ArchiveError" in failed[1]
    assert (await FileProvider(root).describe()).oldest == before.oldest
    assert await look(in_hours(source, 307, **places(tmp_path / "again")))
    assert (await told(source, 1))[0]


async def test_a_fault_does_not_end_the_worker(source: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()
    faults = [ArchiveError("once")]

    async def looks(_: Clinic) -> bool:
        if faults:
            raise faults.pop()
        looked.set()
        return False

    monkeypatch.setattr(rotating, "look", looks)
    task = asyncio.create_task(rotations(source.clinic, between=0))
    await asyncio.wait_for(looked.wait(), 60)
    await ended(task)


async def test_a_root_that_is_no_file_needs_no_copy(source: InProcess, tmp_path: Path) -> None:
    kept = replace(in_hours(source, 0, **places(tmp_path)).settings, root_key="pkcs11:token=clinic;object=root")

    copied(kept)

    assert not (tmp_path / "copy").exists()
