"""How long from a lot to its patients, and from a patient to their lots: `python -m benchmarks.lots [--given N]`.

Issue "Photos and consent": both within a second at 100,000 administrations. Half of them refer to a Medication that
many share, half contain one.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import processor_time
from benchmarks.connection import BenchmarkError, Connection
from benchmarks.deployment import free_ports, running, server_command, server_environment
from fhir_server.cli.token import issue
from fhir_server.kernel import json
from fhir_server.settings import Settings
from fhir_server.smart.token import Claims
from fhir_server.store.embedded import EmbeddedMongo

_PER_PATIENT = 20
_BATCH = 20
_TIMES = 5


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    token: str
    process: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """In seconds: the first time, the best of some more, and the processor's for one of these."""

    first: float
    again: float
    processor: float


async def _measured(server: _Server, given: int, each: int) -> tuple[_Asked, _Asked]:
    connection = await Connection.open(server.port)
    lots = max(1, given // each)
    for start in range(0, given // _PER_PATIENT, _BATCH):
        entries = [one for number in range(start, start + _BATCH) for one in _patient(number, lots)]
        products = [_medication(lot) for lot in range(lots)] if start == 0 else []
        await _ask(connection, server, "POST", "", _transaction([*products, *entries]))
    found: list[_Asked] = []
    for path, needed in (("Medication/$lot-patients?lot=LOT-0", each), ("Patient/p1/$lots", _PER_PATIENT)):
        body, asked = await _timed(connection, server, path)
        told = {one["name"]: one for one in json.decode(body)["parameter"]}
        uses = body.count(b'"name":"given"')
        if uses < needed or not told["complete"]["valueBoolean"]:
            raise BenchmarkError(f"{path}: {uses} uses of {needed} were found.")
        found.append(asked)
    await connection.close()
    return found[0], found[1]


async def _timed(connection: Connection, server: _Server, path: str) -> tuple[bytes, _Asked]:
    began = time.perf_counter()
    body = await _ask(connection, server, "GET", path)
    first = time.perf_counter() - began
    used, best = processor_time.of_process(server.process), first
    for _ in range(_TIMES):
        began = time.perf_counter()
        await _ask(connection, server, "GET", path)
        best = min(best, time.perf_counter() - began)
    return body, _Asked(first, best, (processor_time.of_process(server.process) - used) / _TIMES)


async def _ask(connection: Connection, server: _Server, method: str, path: str, body: Any = None) -> bytes:  # noqa: ANN401  JSON is any value
    content = b"" if body is None else json.encode(body)
    head = f"{method} /fhir/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(content)}\r\n\r\n"
    answer = await connection.ask(head.encode() + content)
    if answer.status >= 300:
        raise BenchmarkError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
    return answer.body


def _transaction(entries: list[Any]) -> Any:  # noqa: ANN401  JSON is any value
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _put(resource: dict[str, Any]) -> Any:  # noqa: ANN401  JSON is any value
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _medication(lot: int) -> Any:  # noqa: ANN401  JSON is any value
    return _put(_vial(lot, f"lot{lot}"))


def _vial(lot: int, id: str) -> dict[str, Any]:
    batch = {"lotNumber": f"LOT-{lot}", "expirationDate": "2028-01-31"}
    return {"resourceType": "Medication", "id": id, "code": {"text": "Calmalia"}, "batch": batch}


def _patient(number: int, lots: int) -> Iterator[Any]:
    """One, and what was given to them: of twenty lots."""
    yield _put({"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"Sample{number}"}]})
    for place in range(_PER_PATIENT):
        lot = (number * _PER_PATIENT + place) % lots
        linked = {"medicationReference": {"reference": f"Medication/lot{lot}"}}
        inside = {"contained": [_vial(lot, "it")], "medicationReference": {"reference": "#it"}}
        yield _put(
            {
                "resourceType": "MedicationAdministration",
                "id": f"p{number}-{place}",
                "status": "completed",
                **(inside if number % 2 else linked),
                "subject": {"reference": f"Patient/p{number}"},
                "effectiveDateTime": f"2026-01-{1 + place:02}",
                "performer": [{"actor": {"display": "Dr Sample"}}],
            }
        )


@contextmanager
def _served() -> Iterator[_Server]:
    with (
        tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder,
        EmbeddedMongo(Path(folder) / "mongo") as mongo,
    ):
        [port] = free_ports(1)
        environment = server_environment(mongo.uri, folder, port)
        settings = Settings.from_environment(environment)
        with (
            running((*server_command(), "serve"), environment, Path(folder) / "server.log") as pid,
            ThreadPoolExecutor(1) as apart,
        ):
            yield _Server(port, apart.submit(_token, settings).result(), pid)


def _token(settings: Settings) -> str:
    return asyncio.run(issue(settings, Claims("desk", "desk", ("system/*.cruds",), timedelta(hours=4))))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lots", description=__doc__)
    parser.add_argument("--given", type=int, default=100_000, help="administrations")
    parser.add_argument("--each", type=int, default=200, help="administrations of a lot")
    arguments = parser.parse_args()
    with _served() as server:
        lot, patient = asyncio.run(_measured(server, arguments.given, arguments.each))
    print(f"{arguments.given} administrations, {arguments.each} of each lot, in seconds:")
    for name, asked in (("lot to patients", lot), ("patient to lots", patient)):
        print(f"{name}: first {asked.first:.3f}, again {asked.again:.3f}, processor {asked.processor:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
