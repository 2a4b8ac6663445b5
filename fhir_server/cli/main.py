"""`fhir-server`: one command per duty of an operator.

Errors go to stderr and end with a status other than 0.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fhir_server.cli import (
    backup,
    clients,
    demo,
    export_log,
    keys,
    reindex,
    retention,
    reversibility,
    serve,
    token,
    users,
    verify,
    work,
)
from fhir_server.cli.faults import CommandError
from fhir_server.crypto.errors import CryptoError
from fhir_server.kernel.errors import FhirError
from fhir_server.settings import Settings
from fhir_server.store.mongod import EmbeddedMongoError
from fhir_server.variables import SettingsError

SUBCOMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[..., int]]] = {
    "serve": ("Serve FHIR on an existing MongoDB.", serve.arguments, serve.run),
    "work": ("Run what was queued: one worker, beside any number of others.", work.arguments, work.run),
    "demo": ("Serve a demo clinic on an embedded MongoDB.", demo.arguments, demo.run),
    "clients": ("Register apps and services.", clients.arguments, clients.run),
    "token": ("Issue an access token; its use is recorded.", token.arguments, token.run),
    "users": ("Add, list, disable, enable and reset those who sign in; let them leave.", users.arguments, users.run),
    "reindex": ("Rebuild the search index while servers go on.", reindex.arguments, reindex.run),
    "backup": ("Back up data and keys, try a backup out, restore one.", backup.arguments, backup.run),
    "verify": ("Compare the database with its log; name the first break.", verify.arguments, verify.run),
    "export-log": ("Write the log with its proofs, to be verified elsewhere.", export_log.arguments, export_log.run),
    "retention": ("List whose files are due to end, and propose it.", retention.arguments, retention.run),
    "reversibility": ("Take a clinic over from another host.", reversibility.arguments, reversibility.run),
    "keys": ("Look after the keys.", keys.arguments, keys.run),
}


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="fhir-server", description=__doc__)
    where = "default: FHIR_SERVER_DATA_DIR, else .data"
    root.add_argument("--data-dir", type=Path, help=where)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (help, arguments, _) in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=help, description=help)
        # Said before or after the command, it means the same; not said here, what was said before stays.
        command.add_argument("--data-dir", type=Path, default=argparse.SUPPRESS, help=where)
        arguments(command)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    os.umask(0o077)
    try:
        settings = Settings.from_environment(
            os.environ,
            data_dir=arguments.data_dir,
            port=getattr(arguments, "port", None),
            host=getattr(arguments, "host", None),
        )
        return SUBCOMMANDS[arguments.command][2](settings, arguments)
    except (SettingsError, CommandError, EmbeddedMongoError, FhirError, CryptoError, OSError) as error:
        print(f"fhir-server {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
