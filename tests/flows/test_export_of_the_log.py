"""S113: a stranger verifies an exported log with one file, on a Python that knows nothing of this server."""

import asyncio
import base64
import os
import shutil
import subprocess
import venv
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from fhir_server import app
from fhir_server.audit.anchoring import Anchor, Anchoring
from fhir_server.cli import export_log
from fhir_server.cli.faults import CommandError
from fhir_server.crypto import timestamps
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.json import Json
from fhir_server.outbound.http_witness import HttpWitness
from fhir_server.outbound.timestamping import TimeStamping
from tests.clinics import InProcess, running
from tests.fakes.witness import STAMPS, URL, Authority, Witness, is_stamp
from tests.samples import patient

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EVENTS = 21


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with `cryptography` and what that needs, and nothing else."""
    place = tmp_path_factory.mktemp("stranger")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    packages = next((place / "venv/lib").glob("python*")) / "site-packages"
    for module in ("cryptography", "cffi", "_cffi_backend"):
        found = find_spec(module)
        assert found is not None
        assert found.origin is not None
        there = Path(found.origin)
        it = there.parent if there.name == "__init__.py" else there
        (packages / it.name).symlink_to(it)
    return place / "venv/bin/python"


@pytest.fixture(scope="module")
async def exported(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Two exports of one log: `first`, and `second` with the proof that it grew since."""
    folder = tmp_path_factory.mktemp("export")
    async with running(mongo_uri, "test_export_of_the_log", folder / "data") as clinic:
        caller = clinic.caller()
        await caller.store(patient("Exportée", id="exported"))
        await recorded(clinic, EVENTS - 6)
        await export(clinic, folder / "first")
        with others(clinic, folder) as anchoring:
            await anchoring.publish()
            await recorded(clinic, EVENTS)
            await export(clinic, folder / "vouched")
        await export(clinic, folder / "second", folder / "first/checkpoint")
        yield folder


WITNESS = Witness()


@contextmanager
def others(clinic: InProcess, folder: Path) -> Iterator[Anchoring]:
    """Meanwhile a witness and an authority that are none of ours vouch for the log."""
    inside, clock = clinic.clinic.anchoring, clinic.clinic.surface.clock
    anchors: list[Anchor] = [HttpWitness(WITNESS, URL, WITNESS.key), *stamping(folder, clock)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "_anchors", anchors)
        patch.setattr(app, "anchors", lambda *_: anchors)  # the command opens the clinic anew
        yield inside


def stamping(folder: Path, clock: Clock) -> list[Anchor]:
    """None where there is nothing to make stamps with, or to verify them."""
    if find_spec("rfc3161_client") is None or shutil.which("openssl") is None:
        return []
    (folder / "tsa").mkdir()
    authority = Authority(folder / "tsa")
    return [TimeStamping(authority, STAMPS, timestamps.Authority(authority.roots), clock)]


async def recorded(clinic: InProcess, size: int) -> None:
    """Until so many events are in the tree."""
    database = clinic.mongo[clinic.database]
    while await database["audit"].count_documents({}) < size:
        await clinic.caller().get("/fhir/Patient/exported")
    while await clinic.clinic.store.sequencer.once():
        pass


async def export(clinic: InProcess, folder: Path, older: Path | None = None) -> None:
    arguments = Namespace(folder=folder, older=older)
    await asyncio.to_thread(export_log.run, clinic.clinic.settings, arguments)


def verify(stranger: Path, folder: Path, *more: str, key: str = "") -> tuple[int, str]:
    given = key or str(folder / "log.key")
    done = subprocess.run(
        [stranger, "-I", ROOT / "verify_export.py", folder, given, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.defpath},
    )
    return done.returncode, done.stdout + done.stderr


async def test_s_113_a_stranger_verifies_an_export(stranger: Path, exported: Path) -> None:
    status, said = verify(stranger, exported / "second")

    nobody = "Nobody but its operator vouches here for this log: it is operator-attested."
    assert (status, said.splitlines()[1:]) == (0, ["That is all of them: none is missing.", nobody, "VERIFIED"])


async def test_what_a_witness_saw_is_verified_by_a_stranger(stranger: Path, exported: Path, tmp_path: Path) -> None:
    status, said = verify(stranger, exported / "vouched", "--witness", WITNESS.key)
    assert status == 0, said
    assert "events were witnessed by witness.example/1 at 20" in said

    for wrong in (Witness(seed=b"o" * 32).key, (exported / "vouched/log.key").read_text()):
        assert verify(stranger, exported / "vouched", "--witness", wrong)[0] == 1
    status, said = verify(stranger, exported / "second", "--witness", WITNESS.key)
    assert (status, "No witness signed anything" in said) == (1, True)
    copy = tmp_path / "copy"
    shutil.copytree(exported / "vouched", copy)
    (copy / "witness.growth").write_text("")
    status, said = verify(stranger, copy)
    assert (status, "is not what it was" in said) == (1, True)


async def test_a_time_stamp_in_an_export_is_verified_by_openssl(stranger: Path, exported: Path) -> None:
    stamp = exported / "vouched/timestamp.tsr"
    if not stamp.exists():
        pytest.skip("openssl or rfc3161-client is not there")
    roots = exported / "tsa/root.pem"
    assert await asyncio.to_thread(is_stamp, stamp, stamp.with_suffix(".checkpoint"), roots)
    assert not await asyncio.to_thread(is_stamp, stamp, exported / "vouched/log.key", roots)
    assert "openssl ts -verify" in verify(stranger, exported / "vouched")[1]


async def test_that_the_log_only_grew_is_verified_by_who_kept_a_checkpoint(stranger: Path, exported: Path) -> None:
    status, said = verify(stranger, exported / "second", "--older", str(exported / "first/checkpoint"))

    assert (status, "the log only grew" in said) == (0, True)
    assert verify(stranger, exported / "first", "--older", str(exported / "first/checkpoint"))[0] == 0
    status, said = verify(stranger, exported / "first", "--older", str(exported / "second/checkpoint"))
    assert (status, "rolled back" in said) == (1, True)


async def test_a_part_of_the_log_is_verified_as_a_part(stranger: Path, exported: Path, tmp_path: Path) -> None:
    lines = altered(exported / "second", tmp_path)
    (tmp_path / "events.ndjson").write_text("".join(lines[3:7]))

    status, said = verify(stranger, tmp_path)

    assert (status, said.startswith("4 of the ")) == (0, True)
    assert "none is missing" not in said


def altered(folder: Path, copy: Path) -> list[str]:
    """A copy to be changed; its events, line by line."""
    for file in folder.iterdir():
        (copy / file.name).write_text(file.read_text())
    return (copy / "events.ndjson").read_text().splitlines(keepends=True)


def first_event(copy: Path, **changed: object) -> None:
    lines = (copy / "events.ndjson").read_text().splitlines()
    told: Json = {**json.decode(lines[0].encode()), **changed}
    (copy / "events.ndjson").write_bytes(json.encode(told) + b"\n")


CHANGES: dict[str, tuple[Json, str]] = {
    "its words": ({"event": "{}"}, "does not say what was recorded"),
    "its salt": ({"salt": base64.b64encode(bytes(32)).decode()}, "does not say what was recorded"),
    "its place": ({"index": 1}, "is not in the log"),
    "a place that the log does not have": ({"index": 9999}, "lies beyond the checkpoint"),
    "a negative place": ({"index": -1}, "lies beyond the checkpoint"),
    "no proof": ({"proof": []}, "too short"),
    "an endless proof": ({"proof": [base64.b64encode(bytes(32)).decode()] * 20}, "too long"),
    "no entry": ({"entry": ""}, "does not say what was recorded"),
    "a number for its words": ({"event": 7}, "no export that can be read"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_an_event_that_was_changed_is_found(stranger: Path, exported: Path, tmp_path: Path, what: str) -> None:
    altered(exported / "second", tmp_path)
    changed, expected = CHANGES[what]
    first_event(tmp_path, **changed)

    status, said = verify(stranger, tmp_path)

    assert (status, expected in said) == (1, True), said


async def test_a_checkpoint_that_the_log_did_not_sign_is_found(stranger: Path, exported: Path, tmp_path: Path) -> None:
    altered(exported / "second", tmp_path)
    note = (tmp_path / "checkpoint").read_text()
    size = note.split("\n")[1]
    (tmp_path / "checkpoint").write_text(note.replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1))

    status, said = verify(stranger, tmp_path)
    assert (status, "signature is not of this key" in said) == (1, True)

    key = (exported / "second/log.key").read_text().strip()
    assert verify(stranger, exported / "second", key=key)[0] == 0
    for wrong in (key.replace("/", "_", 1), key[:-6] + "AAAAA=", "nonsense"):
        assert verify(stranger, exported / "second", key=wrong)[0] == 1


async def test_a_log_that_went_another_way_is_found(stranger: Path, exported: Path, tmp_path: Path) -> None:
    altered(exported / "second", tmp_path)
    for growth in ("", "AAAA\n", (tmp_path / "growth").read_text().splitlines()[0]):
        (tmp_path / "growth").write_text(growth)
        assert verify(stranger, tmp_path, "--older", str(exported / "first/checkpoint"))[0] == 1


async def test_what_cannot_be_exported_is_said(
    mongo_uri: str, database_name: str, tmp_path: Path, exported: Path
) -> None:
    (tmp_path / "nonsense").write_text("nonsense")
    async with running(mongo_uri, database_name, tmp_path) as clinic:
        with pytest.raises(CommandError, match="Nothing is in the log yet"):
            await export(clinic, tmp_path / "out")
        await clinic.clinic.store.sequencer.once()
        with pytest.raises(CommandError, match="shorter than when"):
            await export(clinic, tmp_path / "out", exported / "second/checkpoint")
        with pytest.raises(CommandError, match="is no checkpoint"):
            await export(clinic, tmp_path / "out", tmp_path / "nonsense")
