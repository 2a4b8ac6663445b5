"""How long the erasure of one patient takes, and its keys: `python -m benchmarks.erasing [--resources N] [--photos N]`.

Issue "Audit and regulators": 1,000 resources and 200 photos within 2 s.
"""

import argparse
import asyncio
import base64
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.connection import Answer, BenchmarkError, Connection
from benchmarks.deployment import free_ports, running, server_command, server_environment
from fhir_server.cli.token import issue
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, SYSTEM
from fhir_server.kernel import json
from fhir_server.settings import Settings
from fhir_server.smart.tie_sources import TASK_SYSTEM
from fhir_server.smart.token import Claims
from fhir_server.store.embedded import EmbeddedMongo

_PATIENT = "Patient/erased"
_OF = {"reference": _PATIENT}
_LONG_AGO = "1990-01-01"
_BATCH = 500


class _Caller:
    def __init__(self, connection: Connection, token: str) -> None:
        self._connection, self._token = connection, token

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:  # noqa: ANN401  JSON is any value
        """Raises BenchmarkError for any answer but a success or 404."""
        content = b"" if body is None else json.encode(body)
        head = f"{method} /fhir/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n"
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(content)}\r\n\r\n"
        answer = await self._connection.ask(head.encode() + content)
        if answer.status >= 300 and answer.status != 404:
            raise BenchmarkError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer


async def measured(port: int, tokens: list[str], resources: int, photos: int) -> tuple[float, float]:
    """Seconds until nobody gets at it any more, and until keys are destroyed and the receipt is there."""
    connection = await Connection.open(port)
    desk, officer = (_Caller(connection, token) for token in tokens)
    await _fill(desk, resources, photos)
    code = {"coding": [{"system": TASK_SYSTEM, "code": "erase"}]}
    request = {"resourceType": "Task", "id": "request", "status": "requested", "intent": "order"}
    await desk.ask("PUT", "Task/request", {**request, "code": code, "for": _OF})
    asking = {"name": "request", "valueReference": {"reference": "Task/request"}}
    began = time.perf_counter()
    answer = await officer.ask("POST", f"{_PATIENT}/$erase", {"resourceType": "Parameters", "parameter": [asking]})
    inaccessible = time.perf_counter() - began
    receipt = re.search(rb"DocumentReference/[A-Za-z0-9.\-]+", answer.body)
    if receipt is None:
        raise BenchmarkError("The erasure named no receipt.")
    while (await officer.ask("GET", receipt[0].decode())).status == 404:  # noqa: ASYNC110  no event tells of it
        await asyncio.sleep(0.02)  # the worker is another process
    destroyed = time.perf_counter() - began
    await connection.close()
    return inaccessible, destroyed


async def _fill(desk: _Caller, resources: int, photos: int) -> None:
    patient = {"resourceType": "Patient", "id": "erased", "birthDate": "1950-01-01", "name": [{"family": "Sample"}]}
    await desk.ask("PUT", _PATIENT, patient)
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "Skin"}, "subject": _OF}
    entry = {
        "resource": {**observation, "effectiveDateTime": _LONG_AGO},
        "request": {"method": "POST", "url": "Observation"},
    }
    for start in range(0, resources, _BATCH):
        entries = [entry] * min(_BATCH, resources - start)
        await desk.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    consent: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": _OF,
        "dateTime": "1989-01-01",
        "policyRule": {"text": "Opt in"},
        "provision": {"type": "permit", "purpose": [{"system": SYSTEM, "code": CARE_PHOTOGRAPHY}]},
    }
    await desk.ask("POST", "Consent", consent)
    picture = base64.b64encode(files("fhir_server.cli").joinpath("demo_photo.jpg").read_bytes()).decode()
    content = {"contentType": "image/jpeg", "data": picture}
    media = {"resourceType": "Media", "status": "completed", "subject": _OF, "content": content}
    for _ in range(photos):
        await desk.ask("POST", "Media", {**media, "createdDateTime": _LONG_AGO})


@contextmanager
def served() -> Iterator[tuple[int, list[str]]]:
    """A server and a worker for France, and tokens of two clients."""
    with (
        tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder,
        EmbeddedMongo(Path(folder) / "mongo") as mongo,
    ):
        [port] = free_ports(1)
        own = {"FHIR_SERVER_JURISDICTION": "fr", "FHIR_SERVER_WORKER_INTERVAL": "0.05"}
        environment = server_environment(mongo.uri, folder, port) | own
        settings = Settings.from_environment(environment)
        command, logs = server_command(), Path(folder)
        with (
            running((*command, "serve"), environment, logs / "server.log"),
            running((*command, "work"), environment, logs / "worker.log"),
            ThreadPoolExecutor(1) as apart,
        ):
            yield port, [apart.submit(_token, settings, client).result() for client in ("desk", "officer")]


def _token(settings: Settings, client: str) -> str:
    return asyncio.run(issue(settings, Claims(client, client, ("system/*.cruds",), timedelta(hours=1))))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.erasing", description=__doc__)
    parser.add_argument("--resources", type=int, default=1_000)
    parser.add_argument("--photos", type=int, default=200)
    arguments = parser.parse_args()
    with served() as (port, tokens):
        found = asyncio.run(measured(port, tokens, arguments.resources, arguments.photos))
    print(
        f"{arguments.resources} resources, {arguments.photos} photos: "
        f"inaccessible after {found[0]:.2f} s, keys destroyed and receipt filed after {found[1]:.2f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
