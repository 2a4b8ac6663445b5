"""`fhir-server keys`: what keys there are and what their keeper can promise; new keys in the place of old ones."""

import argparse
import asyncio
from pathlib import Path

from fhir_server.app import open_clinic
from fhir_server.chosen import opened_root_key, root_key
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.cli.rotate import rotate
from fhir_server.crypto.errors import NoRootKeyError
from fhir_server.crypto.status import KeyStatus
from fhir_server.kernel import json
from fhir_server.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=["status", "renew-signing", "rotate", "create-root"],
        help="status: count keys by class; show the root's version. renew-signing: the next key for signing tokens, "
        "published at once, in use after ten minutes. rotate: a new version of the root key; the old ones end. "
        "create-root: the first version of the root key, in the module, engine or service that keeps it",
    )
    parser.add_argument("--keys", type=Path, help="rotate: where the backup of the keys goes that opens afterwards")
    parser.add_argument("--keep-old", action="store_true", help="rotate: stop before the old versions are destroyed")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.action == "create-root":
        asyncio.run(_create_root(settings))
        return 0
    beside = place.beside(settings)
    match arguments.action:
        case "rotate":
            keys = arguments.keys or settings.backup_keys_dir
            if keys is None:
                raise CommandError("rotate needs --keys: backups of the keys from before will open no longer.")
            asyncio.run(rotate(beside, keys, keep_old=arguments.keep_old))
        case "renew-signing":
            asyncio.run(_renew_signing(beside))
        case _:
            asyncio.run(_status(beside))
    return 0


async def _create_root(settings: Settings) -> None:
    """Never a second one: that would be a rotation."""
    try:
        status = await (await opened_root_key(settings)).describe()
    except NoRootKeyError:
        version = await root_key(settings).new_version()
        print(f"The root key was made: version {version}.")
    else:
        print(f"There is a root key ({status.provider}, version {status.version}); nothing was done.")


async def _renew_signing(settings: Settings) -> None:
    async with open_clinic(settings) as clinic:
        await record(clinic, "keys-renew-signing")
        await clinic.gateway.keys.renew()
        print("\n".join(key["kid"] for key in clinic.gateway.keys.published()["keys"]))


async def _status(settings: Settings) -> None:
    async with open_clinic(settings) as clinic:
        await record(clinic, "keys-status")
        print(_written(await clinic.keyring.status()))
        print("\nReceipts are signed with this key (JWK, RFC 8037):")
        print(json.encode(clinic.receipts).decode())


def _written(status: KeyStatus) -> str:
    lines = [
        ("root key", f"{status.root.provider}, version {status.root.version}, opens from {status.root.oldest}"),
        ("bucket keys", str(status.buckets)),
        ("patients' wrapping keys", str(status.patients)),
        *((f"data keys: {key_class}", str(count)) for key_class, count in status.data_keys.items() if count),
        ("destroyed keys", f"{status.destroyed.count}, list hash {status.destroyed.sha256.hex()}"),
        ("renewal after a destruction", "unfinished: run a worker" if status.unfinished else "finished"),
    ]
    return "\n".join([*(f"{name + ':':<30}{value}" for name, value in lines), "", status.root.note])
