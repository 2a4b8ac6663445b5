"""`fhir-server keys status`: what keys there are, and what their keeper can promise."""

import argparse
import asyncio

from fhir_server.app import open_clinic
from fhir_server.cli import place
from fhir_server.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["status"], help="status: count keys by class; show the root's version")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    asyncio.run(_status(place.beside(settings)))
    return 0


async def _status(settings: Settings) -> None:
    async with open_clinic(settings) as clinic:
        print(await clinic.keyring.status())
