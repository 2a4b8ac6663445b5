"""Clinics between which everything is moved: the archive of one, taken in by another, and what is in an archive."""

import asyncio
import base64
import io
import tarfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import Response

from fhir_server.audit.recorder import Recorder
from fhir_server.chosen import THE_SERVER
from fhir_server.cli import reversibility
from fhir_server.crypto.recipient import Opener, new_pair
from fhir_server.kernel import json
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.privacy.reversibility.exporting import PURPOSE
from fhir_server.privacy.reversibility.pieces import Taken
from fhir_server.privacy.reversibility.reading import Reading
from fhir_server.privacy.reversibility.taking import Taking
from tests.clinics import InProcess

NEXT_HOST = "next-host"
PRIVATE, PUBLIC = new_pair()


def asked(key: str = PUBLIC, recipient: str = NEXT_HOST) -> Json:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "recipient", "valueReference": {"reference": f"Organization/{recipient}"}},
            {"name": "key", "valueString": key},
        ],
    }


async def export(clinic: InProcess, body: Json | None = None, purpose: str = PURPOSE, *scopes: str) -> Response:
    caller = clinic.caller(*scopes or ("system/*.rs",), purposes=(purpose,))
    return await caller.post("/fhir/$reversibility-export", body or asked())


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive in the hands of who has the private key: each file whole."""

    files: dict[str, bytes]

    def lines(self, folder: str) -> list[bytes]:
        return [
            line
            for name, content in sorted(self.files.items())
            if name.startswith(f"{folder}/")
            for line in content.splitlines()
        ]

    @property
    def versions(self) -> list[list[Any]]:
        """The sorted list: type, id, version, SHA-256."""
        return [json.decode(line) for line in self.lines("versions")]


def members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            yield entry.name, content.read()


def packed(found: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]]) -> bytes:
    """A tar file of these members."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in found:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def opened(archive: bytes, private: str = PRIVATE) -> Opened:
    found = dict(members(archive))
    id, key = json.decode(found.pop("opening.json"))["archive"], Opener(private)
    files: dict[str, bytes] = {}
    for name, content in found.items():
        if name != "manifest.jws":
            file, _, number = name.rpartition("/")
            files[file] = files.get(file, b"") + key.opened(content, id, file, int(number))[0]
    return Opened(files)


async def take_by_command(clinic: InProcess, archive: bytes, source: InProcess, folder: Path) -> int:
    (folder / "clinic.tar").write_bytes(archive)
    (folder / "key.jwk").write_text(PRIVATE)
    (folder / "host.jwk").write_bytes(json.encode(dict(source.clinic.receipts)))
    given = Namespace(
        action="import", archive=folder / "clinic.tar", key=folder / "key.jwk", signed_by=folder / "host.jwk"
    )
    return await asyncio.to_thread(reversibility.run, clinic.clinic.settings, given)


async def take_in(clinic: InProcess, archive: bytes, source: InProcess, folder: Path, private: str = PRIVATE) -> Taken:
    (folder / "clinic.tar").write_bytes(archive)
    inner = clinic.clinic
    recorder = Recorder(inner.store.audit, clinic.base)
    taking = Taking(inner.store.resources, inner.store.photos, recorder, inner.surface.clock, random_id, THE_SERVER)
    signed_by = str(source.clinic.receipts["x"])
    public = base64.urlsafe_b64decode(f"{signed_by}=")
    return await taking.run(Reading(folder / "clinic.tar", Opener(private), public))
