"""`fhir-server reversibility`: a key pair for who takes a clinic over, and the archive of the host before taken in.

HDS certification referential (2024), requirement 27; docs/how-to/change-the-host.md. An import that was stopped is
given again: it goes on.
"""

import argparse
import asyncio
import base64
import binascii
import os
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.audit.recorder import Recorder
from fhir_server.chosen import THE_SERVER, clinic_of
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.crypto.recipient import Opener, new_pair
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError
from fhir_server.kernel.identity import random_id
from fhir_server.privacy.reversibility.pieces import Taken
from fhir_server.privacy.reversibility.reading import Reading
from fhir_server.privacy.reversibility.taking import Taking
from fhir_server.settings import Settings

_MOST_KEY = 64 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    words = "Make a key pair: the private key goes into FILE, the public one is printed, for the host before."
    made = actions.add_parser("new-key", help=words, description=words)
    made.add_argument("file", type=Path, metavar="FILE", help="made; it must not be there yet")
    words = "Take in what another host's $reversibility-export gave. Stopped, it is given again and goes on."
    taken = actions.add_parser("import", help=words, description=words)
    taken.add_argument("archive", type=Path, metavar="ARCHIVE", help="the tar file")
    taken.add_argument("--key", type=Path, required=True, help="the private key, a JWK")
    taken.add_argument(
        "--signed-by", type=Path, required=True, help="the key of the host before, a JWK: had from them, not with it"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.action == "new-key":
        print(_new_key(arguments.file))
        return 0
    key, signed_by = Opener(_text(arguments.key)), _public(_text(arguments.signed_by))
    taken = asyncio.run(_taken(place.beside(settings), Reading(arguments.archive, key, signed_by)))
    print(
        f"{taken.versions} versions, {taken.new_versions} of them new; {taken.photos} photos, {taken.new_photos} new."
    )
    return 0


def _new_key(file: Path) -> str:
    private, public = new_pair()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(f"{private}\n")
    return public


async def _taken(settings: Settings, reading: Reading) -> Taken:
    async with open_clinic(settings) as clinic:
        await record(clinic, "reversibility-import")
        store, clock = clinic.store, clinic.surface.clock
        recorder = Recorder(store.audit, clinic.surface.base, clinic_of(settings))
        taking = Taking(store.resources, store.photos, recorder, clock, random_id, THE_SERVER)
        return await taking.run(reading)


def _text(file: Path) -> str:
    with file.open() as given:
        return given.read(_MOST_KEY)


def _public(text: str) -> bytes:
    """An Ed25519 key as `keys status` prints it (RFC 8037)."""
    try:
        said = json.decode(text.encode())
        kind, found = (said["kty"], said["crv"]), base64.urlsafe_b64decode(said["x"] + "=" * (-len(said["x"]) % 4))
    except (MalformedError, KeyError, TypeError, binascii.Error):
        kind, found = ("", ""), b""
    if kind != ("OKP", "Ed25519"):
        raise CommandError("--signed-by is a public key as `fhir-server keys status` prints it.")
    return found
