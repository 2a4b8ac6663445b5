"""A population of any size for searches, and its place in the server and, the same resources, in a plain database.

Only the size differs between two populations: names, days and numbers are made from the number of a patient.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from pymongo import ASCENDING, MongoClient

from benchmarks import payloads, plain
from benchmarks.connection import BenchmarkError, Connection
from benchmarks.deployment import Deployment
from benchmarks.figures import request
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

OBSERVATIONS = 5
"""Of each patient."""

RECORD_NUMBERS = "https://clinic.example/fhir/sid/record-number"
_LOADERS = 4
_AT_ONCE = 1000
_PREFIX = 6


@dataclass(frozen=True, slots=True)
class Population:
    """`patients` a multiple of payloads.SAME_NAME, so that each name has its whole page."""

    patients: int

    @property
    def names(self) -> int:
        return self.patients // payloads.SAME_NAME

    def resources(self) -> Iterator[Json]:
        for number in range(self.patients):
            yield json.decode(payloads.known_patient(patient_id(number), number))
            for index in range(OBSERVATIONS):
                observation = json.decode(payloads.observation(patient_id(number), number + index))
                yield observation | {"id": f"o{number}-{index}"}


def patient_id(number: int) -> str:
    return f"p{number}"


def name_prefix(group: int) -> str:
    """That of one group of patients and no other."""
    return payloads.family(group)[:_PREFIX].lower()


def record_number(number: int) -> str:
    return f"R-{number:08}"


async def fill_server(deployment: Deployment, population: Population) -> None:
    """Through the front door: transactions of a hundred, checked, sealed, indexed, recorded."""
    bundles = _bundles(population)

    async def load() -> None:
        connection = await Connection.open(deployment.server.port)
        try:
            for bundle in bundles:
                answer = await connection.ask(request("POST", "/fhir", deployment.token, bundle))
                if answer.status != 200:
                    raise BenchmarkError(f"A transaction was answered {answer.status}: {answer.body[:300]!r}")
        finally:
            await connection.close()

    await asyncio.gather(*(load() for _ in range(_LOADERS)))


def fill_plain(mongo_uri: str, population: Population) -> None:
    """As one would store them in MongoDB without a thought of secrecy: the JSON, and beside it what is searched."""
    with MongoClient[Json](mongo_uri) as client:
        rows = client[plain.DATABASE]["resources"]
        numbered = enumerate(population.resources())
        while some := list(islice(numbered, _AT_ONCE)):
            rows.insert_many([plain.document(resource, seq) for seq, resource in some])
        for fields in plain.INDEXES:
            rows.create_index([(field, ASCENDING) for field in fields])


def _bundles(population: Population) -> Iterator[bytes]:
    resources = population.resources()
    while some := list(islice(resources, payloads.ENTRIES)):
        entries = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}} for one in some
        ]
        yield json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
