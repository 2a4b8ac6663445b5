"""What a process costs before it does anything: its start, its memory, and the validation of one Patient."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from benchmarks import payloads
from benchmarks.deployment import Deployment, free_ports, running, server_command, server_environment
from benchmarks.processor_time import of_process, resident
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

_STARTS = 3
_VALIDATIONS, _ROUNDS = 500, 9
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Standing:
    """One figure and what the project allows of it. `says` is for people."""

    name: str
    value: float
    unit: str
    allowed: float | None
    says: str

    @property
    def kept(self) -> bool | None:
        return None if self.allowed is None else self.value <= self.allowed


def standing(deployment: Deployment) -> list[Standing]:
    """Beside the server that has just been measured, whose memory is asked for as well."""
    starts = [_start(deployment.mongo_uri, number) for number in range(_STARTS)]
    definitions, models = _loaded()
    return [
        Standing("start", median(wall for wall, _, _ in starts), "s", 3.0, "from the command to `ready`"),
        Standing(
            "start, processor time", median(cpu for _, cpu, _ in starts), "s", None, "of it, spent by the process"
        ),
        Standing("memory when ready", median(size for *_, size in starts), "MB", 300.0, "resident"),
        Standing(
            "memory after the run", resident(deployment.server.pid) / _MEGABYTE, "MB", 300.0, "of the server above"
        ),
        Standing("memory, every definition", definitions, "MB", 300.0, "every check, search parameter and path loaded"),
        Standing("memory, every model too", models, "MB", 300.0, "the models of fhir.resources of all types as well"),
        Standing("validation of a Patient", _validation(), "ms", 0.25, "of 1.7 kB, by the definitions"),
    ]


def _start(mongo_uri: str, number: int) -> tuple[float, float, float]:
    """Seconds on the clock and of the processor, and megabytes, of a server with a database of its own."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-start-") as folder:
        [port] = free_ports(1)
        environment = server_environment(mongo_uri, folder, port) | {"FHIR_SERVER_DATABASE": f"start{number}"}
        before = perf_counter()
        with running((*server_command(), "serve"), environment, Path(folder) / "server.log") as pid:
            return perf_counter() - before, of_process(pid), resident(pid) / _MEGABYTE


def _loaded() -> tuple[float, float]:
    command: Sequence[str] = (sys.executable, "-m", "benchmarks.loaded")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(said[0]) / _MEGABYTE, int(said[1]) / _MEGABYTE


def _validation() -> float:
    """Milliseconds of the processor, the median of some rounds: other programs play no part."""
    patient = json.decode(payloads.other_patient(0))
    validate(patient)
    taken = []
    for _ in range(_ROUNDS):
        before = process_time()
        for _ in range(_VALIDATIONS):
            validate(patient)
        taken.append((process_time() - before) / _VALIDATIONS * 1000)
    return median(taken)


def as_json(found: Sequence[Standing]) -> list[Json]:
    return [
        {"figure": one.name, "value": round(one.value, 3), "unit": one.unit, "allowed": one.allowed, "kept": one.kept}
        for one in found
    ]
