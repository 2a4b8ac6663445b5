"""`fhir-server demo`: a clinic to try, on a MongoDB of its own. Everybody in it is invented.

The first start loads the clinic; a later one keeps what is there.
"""

import argparse
import asyncio
import base64
import contextlib
import signal
import sys
from dataclasses import replace
from functools import partial
from importlib.resources import files
from types import FrameType

from fhir_server.app import open_clinic
from fhir_server.cli import demo_people, place
from fhir_server.cli.demo_clients import demo_clients
from fhir_server.cli.demo_series import series
from fhir_server.cli.processes import run_together
from fhir_server.cli.serve import listening, listening_socket, log_to_stderr
from fhir_server.cli.work import work
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel import json
from fhir_server.kernel.errors import NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo

LOADER = Principal("demo-loader", "fhir-server-demo", "", "", scopes=("system/*.cruds",), name="demo loader")
FIRST = ResourceKey("Organization", "demo-clinic")
"""Is it there, the clinic is loaded."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    # Stop cleanly also when asked by SIGTERM: mongod must be stopped after the server, by us.
    signal.signal(signal.SIGTERM, _stop)
    with (
        listening_socket(settings) as listener,
        _mongo(settings) as mongo,
    ):
        running = replace(settings, mongo_uri=mongo.uri)
        place.write(running, asyncio.run(_load(running)), demo_people.told())

        def ready() -> None:
            print(_welcome(running), flush=True)
            print(f"ready {running.base_url}", flush=True)

        log_to_stderr(running)
        run_together([*listening(running, listener), partial(work, running)], ready)
    return 0


def _mongo(settings: Settings) -> EmbeddedMongo:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return EmbeddedMongo(settings.data_dir / "mongo", cache_gib=settings.embedded_cache)


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _welcome(settings: Settings) -> str:
    data, people = f" --data-dir {settings.data_dir}", demo_people.people()
    return f"""
A demo clinic is running; everybody in it is invented.

  FHIR base     {settings.base_url}/fhir
  description   {settings.base_url}/fhir/metadata
  particulars   {settings.data_dir / place.NAME}

Sign in as {people[0].username}, or as one of the other roles (particulars has each password and TOTP secret):

  {settings.base_url}/auth/sign-in
  password      {people[0].password}
  code          .venv/bin/fhir-server users code {people[0].username}

Or with a token (good for {settings.token_lifetime} seconds; its issue is recorded):

  TOKEN=$(.venv/bin/fhir-server token{data} --scope 'system/*.cruds' | tail -n 1)
  curl -H "Authorization: Bearer $TOKEN" '{settings.base_url}/fhir/Patient?name=camille'
"""


async def _load(settings: Settings) -> list[Json]:
    """Transactions through the engine, like anybody's: checked, sealed, recorded. Gives the clients that it made."""
    async with open_clinic(settings) as clinic:
        if await clinic.store.resources.read(FIRST) is None:
            bundle = json.decode(_file("demo_clinic.json"))
            now = clinic.surface.clock.now()
            await clinic.surface.bundles.process(Call(Interaction.TRANSACTION, LOADER, now), bundle)
        # The photo needs a consent in force, so it comes after the commit that brings it; a start that was killed in
        # between is finished by the next, unless somebody withdrew the consent meanwhile.
        with contextlib.suppress(NoLegalBasisError):
            await _load_photo(clinic)
        with contextlib.suppress(NoLegalBasisError):
            for media in series():
                await _load_once(clinic, media)
        await demo_people.load(clinic, LOADER)
        return demo_clients(clinic.store.clients, (place.told(settings) or {}).get("clients", []))


async def _load_photo(clinic: Clinic) -> None:
    media = json.decode(_file("demo_media.json"))
    media["content"]["data"] = base64.b64encode(_file("demo_photo.jpg")).decode()
    await _load_once(clinic, media)


async def _load_once(clinic: Clinic, media: Json) -> None:
    if await clinic.store.resources.read(ResourceKey("Media", media["id"])) is not None:
        return
    call = Call(Interaction.UPDATE, LOADER, clinic.surface.clock.now(), "Media", media["id"])
    await clinic.engine.update(call, media)


def _file(name: str) -> bytes:
    with contextlib.closing(files("fhir_server.cli").joinpath(name).open("rb")) as file:
        return file.read()
