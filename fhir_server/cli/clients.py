"""`fhir-server clients`: register apps and services, list them, shut them out, give them new credentials.

RFC 6749 section 2. A secret is shown once and kept as a hash. Each use is recorded.
"""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

from fhir_server.app import open_clinic
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import record
from fhir_server.clinic import Clinic
from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.json import Json
from fhir_server.settings import Settings
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from fhir_server.smart.clients.public_keys import ALGORITHMS
from fhir_server.smart.clients.registration import Registered, RegistrationError, register, with_new_secret
from fhir_server.smart.grant import CLIENT_ENDED


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="register a client; prints its id, and its secret this once")
    add.add_argument("client_id")
    add.add_argument("--kind", required=True, choices=[kind.value for kind in Kind])
    add.add_argument("--name", help="what people are asked to trust; default: the id")
    add.add_argument("--scope", required=True, help='all that it may ever ask for, for example "system/*.rs"')
    add.add_argument("--redirect-uri", action="append", default=[], help="exact; may be given several times")
    add.add_argument("--purpose", action="append", default=[], help="v3-ActReason code; default TREAT; several times")
    add.add_argument("--launch-url", help="where an EHR opens the app")
    _keys(add)
    actions.add_parser("list", help="one line of JSON for each")
    actions.add_parser("disable", help="it gets no token any more, and those it has end").add_argument("client_id")
    reset = actions.add_parser("reset", help="a new secret, or new keys; what it held ends; enabled again if disabled")
    reset.add_argument("client_id")
    _keys(reset)
    key = actions.add_parser(
        "new-key", help="make a key pair: the private half into a file, the public JWK Set printed"
    )
    key.add_argument("file", type=Path)
    key.add_argument("--alg", choices=list(ALGORITHMS), default="ES384")


def _keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jwks", type=Path, help="file with the client's public keys, a JWK Set")
    parser.add_argument("--jwks-uri", help="https URL of the same")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.action == "new-key":
        print(json.encode(_new_key(arguments.file, arguments.alg)).decode())
        return 0
    try:
        lines = asyncio.run(_done(place.beside(settings), arguments))
    except RegistrationError as error:
        raise CommandError(str(error)) from None
    for line in lines:
        print(json.encode(line).decode())
    return 0


async def _done(settings: Settings, arguments: argparse.Namespace) -> list[Json]:
    async with open_clinic(settings) as clinic:
        await record(clinic, f"clients-{arguments.action}")
        match arguments.action:
            case "add":
                return [_shown_once(_add(clinic, arguments))]
            case "list":
                return [_described(client) for client in clinic.store.clients.all()]
            case "disable":
                await disable(clinic, arguments.client_id)
                return []
            case _:
                return [_shown_once(await _reset(clinic, arguments))]


def _add(clinic: Clinic, arguments: argparse.Namespace) -> Registered:
    registered = register(
        Client(
            arguments.client_id,
            Kind(arguments.kind),
            arguments.name or arguments.client_id,
            tuple(dict.fromkeys(arguments.scope.split())),
            tuple(arguments.redirect_uri),
            tuple(arguments.purpose) or ("TREAT",),
            jwks=_read(arguments.jwks),
            jwks_uri=arguments.jwks_uri,
            launch_url=arguments.launch_url,
        )
    )
    if not clinic.store.clients.save(registered.client):
        raise CommandError(f"There is a client {arguments.client_id} already.")
    return registered


async def disable(clinic: Clinic, client_id: str) -> None:
    """First no new token, then the end of the old ones: nothing slips in between."""
    _save(clinic, _known(clinic, client_id).changed(disabled=True))
    await clinic.store.grant_states.end_all(f"client/{client_id}", CLIENT_ENDED)


async def _reset(clinic: Clinic, arguments: argparse.Namespace) -> Registered:
    client = _known(clinic, arguments.client_id).changed(disabled=False)
    if client.kind.signs:
        keys: dict[str, Any] = {"jwks": _read(arguments.jwks), "jwks_uri": arguments.jwks_uri}
        registered = register(client.changed(**keys, revision=client.revision))
    elif arguments.jwks or arguments.jwks_uri:
        raise CommandError(f"A client of kind {client.kind} has no keys.")
    else:
        registered = with_new_secret(client) if client.kind is Kind.SYMMETRIC else Registered(client, None)
    _save(clinic, registered.client)
    await clinic.store.grant_states.end_all(f"client/{client.client_id}", CLIENT_ENDED)
    return registered


def _known(clinic: Clinic, client_id: str) -> Client:
    client = clinic.store.clients.get(client_id)
    if client is None:
        raise CommandError("There is no client of this id.")
    return client


def _save(clinic: Clinic, client: Client) -> None:
    if not clinic.store.clients.save(client):
        raise CommandError("Somebody else changed the client at the same time; try again.")


def _new_key(path: Path, alg: str) -> Json:
    """Of mode 600, and never over a file that is there: it may be the only copy of another key."""
    private = new_private_jwk(alg)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(json.encode(private))
    return public_set(private)


def _read(path: Path | None) -> Json | None:
    if path is None:
        return None
    try:
        found = json.decode(path.read_bytes())
    except (OSError, FhirError):
        raise CommandError(f"{path} is no JSON file that can be read.") from None
    if not isinstance(found, dict):
        raise CommandError(f"{path} holds no JWK Set.")
    return found


def _shown_once(registered: Registered) -> Json:
    secret = {"secret": registered.secret} if registered.secret else {}
    return {**_described(registered.client), **secret}


def _described(client: Client) -> Json:
    return {
        "client_id": client.client_id,
        "kind": client.kind.value,
        "name": client.name,
        "scope": " ".join(client.scopes),
        "redirect_uris": client.redirect_uris,
        "purposes": client.purposes,
        "launch_url": client.launch_url,
        "jwks_uri": client.jwks_uri,
        "kids": [key.get("kid") for key in (client.jwks or {}).get("keys", [])],
        "disabled": client.disabled,
    }
