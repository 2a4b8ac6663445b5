"""Whoever holds a backup and no key can change nothing in it unnoticed, and mix no two of them.

sealed-storage section 3. Whatever is found, the place it was restored into is empty again.
"""

import base64
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.jws import stated_payload
from fhir_server.crypto.keys import KeyId
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.store.backup import creating
from fhir_server.store.embedded import EmbeddedMongo
from tests.clinics import InProcess, running
from tests.flows.backed_up import Taken, backups, restored, taken

pytestmark = pytest.mark.anyio

DATABASE = "test_altered"
Attack = Callable[[Taken, Taken], object]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedMongo(tmp_path_factory.mktemp("elsewhere"), cache_gib=0.25) as mongo:
        yield mongo.uri


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, DATABASE, tmp_path_factory.mktemp("source"), worker_interval=3600) as inside:
        yield inside


@pytest.fixture(scope="module")
async def two(source: InProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[Taken, Taken]:
    """Two backups of the same clinic, in several pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(creating, "PIECE_BYTES", 3_000)
        earlier = await taken(source, tmp_path_factory.mktemp("earlier"))
        later = await taken(source, tmp_path_factory.mktemp("later"))
    return earlier, later


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def exchanged(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def altered(manifest: Path) -> None:
    """Another instant, under the signature that it had."""
    head, _, signature = manifest.read_text().split(".")
    said = json.decode(stated_payload(manifest.read_text()))
    body = base64.urlsafe_b64encode(json.encode({**said, "instant": "2031-01-01T00:00:00.000Z"})).decode().rstrip("=")
    manifest.write_text(f"{head}.{body}.{signature}")


def _last(place: Path, name: str) -> Path:
    return max(place.glob(f"{name}.*.sealed"))


ATTACKS: dict[str, tuple[Attack, str]] = {
    "a bit of a piece": (lambda b, _: flipped(b.data / "audit.000001.sealed"), "audit, piece 1"),
    "a bit of a piece of keys": (lambda b, _: flipped(b.keys / "keys.000000.sealed"), "keys, piece 0"),
    "a piece cut short": (
        lambda b, _: (b.data / "chunks.000000.sealed").write_bytes((b.data / "chunks.000000.sealed").read_bytes()[:-9]),
        "chunks, piece 0",
    ),
    "a piece taken away": (lambda b, _: (b.data / "audit.000000.sealed").unlink(), "audit, piece 0: it is missing"),
    "the last piece taken away": (lambda b, _: _last(b.data, "audit").unlink(), "it is missing"),
    "two pieces exchanged": (
        lambda b, _: exchanged(b.data / "audit.000000.sealed", b.data / "audit.000001.sealed"),
        "audit, piece 0",
    ),
    "pieces of two collections exchanged": (
        lambda b, _: exchanged(_last(b.data, "heads"), _last(b.data, "history")),
        "piece",
    ),
    "a piece of an earlier backup": (
        lambda b, old: shutil.copy(old.data / "resources.000000.sealed", b.data),
        "resources, piece 0",
    ),
    "the manifest of an earlier backup": (
        lambda b, old: shutil.copy(old.data / "manifest.jws", b.data),
        "manifest is that of another backup",
    ),
    "manifest and opener of an earlier backup": (
        lambda b, old: [shutil.copy(old.data / name, b.data) for name in ("manifest.jws", "backup.json")],
        "piece 0",
    ),
    "a manifest of the data that says something else": (lambda b, _: altered(b.data / "manifest.jws"), "signature"),
    "a manifest of the keys that says something else": (lambda b, _: altered(b.keys / "manifest.jws"), "signature"),
    "no manifest": (lambda b, _: (b.data / "manifest.jws").unlink(), "no finished backup"),
    "no opener": (lambda b, _: (b.keys / "backup.json").unlink(), "holds no backup"),
    "an opener that is no JSON": (lambda b, _: (b.data / "backup.json").write_text("{"), "damaged"),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_s63_it_is_found(
    source: InProcess, two: tuple[Taken, Taken], elsewhere: str, tmp_path: Path, name: str
) -> None:
    attack, words = ATTACKS[name]
    earlier, later = two
    copy = replace(
        later,
        data=shutil.copytree(later.data, tmp_path / "data"),
        keys=shutil.copytree(later.keys, tmp_path / "keys"),
    )
    attack(copy, earlier)

    with pytest.raises(CryptoError, match=words):
        await restored(elsewhere, copy.data, copy.keys, source.clinic.settings.root_key_file)

    with MongoClient[Json](elsewhere) as mongo:
        assert {DATABASE, f"{DATABASE}_keys"} & set(mongo.list_database_names()) == set()


async def test_data_and_keys_in_each_others_place_are_found(
    source: InProcess, two: tuple[Taken, Taken], elsewhere: str
) -> None:
    with pytest.raises(CryptoError, match="holds a backup of the keys"):
        await restored(elsewhere, two[1].keys, two[1].data, source.clinic.settings.root_key_file)


async def test_m2_keys_from_before_an_erasure_are_refused_for_data_from_after_it(
    source: InProcess, two: tuple[Taken, Taken], elsewhere: str, tmp_path: Path
) -> None:
    """They would open again what was destroyed. The other way round is what a backup is for."""
    earlier, _ = two
    photo = await source.clinic.store.photos.find(earlier.photo.removeprefix("Binary/"))
    assert photo is not None
    await source.clinic.keyring.destroy([KeyId(photo.key)], "Consent/1/_history/2")
    async with backups(source) as found:
        await found.create(tmp_path / "data", tmp_path / "keys")
    root = source.clinic.settings.root_key_file

    with pytest.raises(CryptoError, match="older than the data"):
        await restored(elsewhere, tmp_path / "data", earlier.keys, root)

    await restored(elsewhere, earlier.data, tmp_path / "keys", root)
    async with running(elsewhere, DATABASE, source.clinic.settings.data_dir) as again:
        lost = await again.caller().get(f"/fhir/{earlier.photo}", Accept="image/jpeg")
        kept = await again.caller().get(f"/fhir/Patient/{earlier.person}")
    assert (lost.status_code, kept.status_code) == (410, 200)


async def test_a_key_that_is_gone_without_a_trace_stops_a_restore(
    source: InProcess, two: tuple[Taken, Taken], elsewhere: str, tmp_path: Path
) -> None:
    """Removed from the living database beside the server: neither there nor on the list."""
    earlier, _ = two
    settings = source.clinic.settings
    with MongoClient[Json](settings.mongo_uri) as mongo:
        rows = mongo[f"{DATABASE}_keys"]["keys"]
        row = rows.find_one_and_delete({"_id": f"record/{earlier.person}"})
        assert row is not None
        try:
            async with backups(source) as found:
                await found.create(tmp_path / "data", tmp_path / "keys")
        finally:
            rows.insert_one(row)

    with pytest.raises(CryptoError, match="neither stored nor on the list"):
        await restored(elsewhere, tmp_path / "data", tmp_path / "keys", settings.root_key_file)
