"""`python -m benchmarks.documents`: large documents stored and read, beside plain GridFS in the same run.

About four minutes. The page that it leaves is `benchmarks/results/documents.md`.
"""

import asyncio
import base64
import secrets
import sys
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.connection import Answer, BenchmarkError, Connection
from benchmarks.deployment import Deployment, deployed
from benchmarks.documents_report import page
from benchmarks.load import Target, Window, measure, percentile
from fhir_server.kernel import json

_PAGE = Path(__file__).parent / "results" / "documents.md"
_SIZES = (5_000_000, 20_000_000)
_CLIENTS = (1, 4)
_ROUNDS, _SECONDS, _WARM_UP = 3, 3.0, 0.5
_RANGE = 64 << 10
_OK, _CREATED, _PARTIAL = 200, 201, 206
_FHIR, _PDF = "application/fhir+json", "application/pdf"


@dataclass(frozen=True, slots=True)
class Figure:
    """`floor` names the figure that it is compared with; a floor has none."""

    name: str
    target: Target
    floor: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """`grown`: by how many megabytes the process that answered was larger at its peak than before."""

    figure: Figure
    clients: int
    window: Window
    grown: float


def main() -> int:
    with deployed() as deployment, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = {size: runner.run(_measured(deployment, size)) for size in _SIZES}
    rows = [row for size, windows in taken.items() for row in _rows(size, windows)]
    others = median(one.window.others / one.window.seconds for windows in taken.values() for one in windows)
    _PAGE.write_text(page(rows, _SECONDS, _ROUNDS, others), encoding="utf-8")
    print(_PAGE.read_text(encoding="utf-8"))
    return 0


async def _measured(deployment: Deployment, size: int) -> list[Taken]:
    """Every figure in turn, round after round, so that all meet the same noise."""
    figures = await _figures(deployment, size)
    taken = []
    for turn in range(_ROUNDS):
        for clients in _CLIENTS:
            for figure in figures:
                print(f"{size}, round {turn + 1}, {clients} clients: {figure.name}", file=sys.stderr, flush=True)
                taken.append(await _taken(deployment, figure, clients))
    return taken


def _rows(size: int, taken: list[Taken]) -> list[tuple[str, ...]]:
    """Of documents of one size, each number the median of its rounds."""
    rows = []
    for clients in _CLIENTS:
        rates: dict[str, float] = {}
        for figure in dict.fromkeys(one.figure for one in taken):
            mine = [one for one in taken if (one.figure, one.clients) == (figure, clients)]
            rates[figure.name] = median(one.window.done / one.window.seconds for one in mine)
            compared = rates[figure.name] / rates[figure.floor] if figure.floor else None
            rows.append(_row(size, figure, clients, mine, compared))
    return rows


def _row(size: int, figure: Figure, clients: int, taken: list[Taken], compared: float | None) -> tuple[str, ...]:
    process = "server" if figure.floor else "floor"
    moved = _RANGE if figure.target.status == _PARTIAL or "64 KiB" in figure.name else size
    rate = median(one.window.done / one.window.seconds for one in taken)
    spent = median(one.window.processor[process] / max(one.window.done, 1e-9) for one in taken)
    return (
        f"{size / 1e6:.0f} MB",
        figure.name,
        str(clients),
        f"{rate:.1f}",
        f"{rate * moved / 1e6:.0f}",
        f"{median(percentile(one.window.latencies, 0.5) for one in taken) * 1000:.1f}",
        f"{spent * 1000:.1f}",
        f"{median(one.grown for one in taken):.0f}",
        f"{compared:.2f}" if compared else "",
    )


async def _taken(deployment: Deployment, figure: Figure, clients: int) -> Taken:
    processes = {"server": deployment.server.pid, "floor": deployment.floor.pid, "database": deployment.mongod}
    answering = processes["server" if figure.floor else "floor"]
    before = _memory_from_now(answering)
    window = await measure(figure.target, clients, _SECONDS, _WARM_UP, processes)
    return Taken(figure, clients, window, max(0.0, _memory(answering, "VmHWM") - before))


def _memory_from_now(pid: int) -> float:
    """What is in use, in megabytes; the peak begins anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return _memory(pid, "VmRSS")


def _memory(pid: int, name: str) -> float:
    """In megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1000


async def _figures(deployment: Deployment, size: int) -> list[Figure]:
    """What the readers read is stored here."""
    server, floor, token = deployment.server.port, deployment.floor.port, deployment.token
    data, middle = secrets.token_bytes(size), size // 2
    keep = request("POST", "/files", data)
    content = request("POST", "/fhir/Binary", data, token, Content_Type=_PDF, Prefer="return=minimal")
    body = json.encode(_document(data))
    document = request("POST", "/fhir/DocumentReference", body, token, Content_Type=_FHIR, Prefer="return=minimal")
    file = json.decode((await created(floor, keep)).body)["id"]
    binary = await created_id(server, token, "Binary", json.encode(_binary(data)))
    stored = await created_id(server, token, "DocumentReference", body)
    whole = request("GET", f"/fhir/Binary/{binary}", token=token)
    part = request("GET", f"/fhir/Binary/{binary}", token=token, Range=f"bytes={middle}-{middle + _RANGE - 1}")
    resource = request("GET", f"/fhir/DocumentReference/{stored}", token=token)
    sought = request("GET", f"/files/{file}?start={middle}&length={_RANGE}")
    return [
        Figure("GridFS: store", Target(floor, repeat(keep), _CREATED)),
        Figure("store the content of a Binary", Target(server, repeat(content), _CREATED), "GridFS: store"),
        Figure("store a DocumentReference as JSON", Target(server, repeat(document), _CREATED), "GridFS: store"),
        Figure("GridFS: read", Target(floor, repeat(request("GET", f"/files/{file}")), _OK)),
        Figure("read the content of a Binary", Target(server, repeat(whole), _OK), "GridFS: read"),
        Figure("read a DocumentReference as JSON", Target(server, repeat(resource), _OK), "GridFS: read"),
        Figure("GridFS: seek, 64 KiB", Target(floor, repeat(sought), _OK)),
        Figure("read a range of 64 KiB", Target(server, repeat(part), _PARTIAL), "GridFS: seek, 64 KiB"),
    ]


def _binary(data: bytes) -> json.Json:
    return {"resourceType": "Binary", "contentType": _PDF, "data": base64.b64encode(data).decode()}


def _document(data: bytes) -> json.Json:
    attachment = {"contentType": _PDF, "data": base64.b64encode(data).decode()}
    return {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": attachment}]}


async def created_id(port: int, token: str, type_name: str, body: bytes) -> str:
    answer = await created(port, request("POST", f"/fhir/{type_name}", body, token, Content_Type=_FHIR))
    return str(json.decode(answer.body)["id"])


async def created(port: int, asked: bytes) -> Answer:
    connection = await Connection.open(port)
    try:
        answer = await connection.ask(asked)
    finally:
        await connection.close()
    if answer.status != _CREATED:
        raise BenchmarkError(f"Expected {_CREATED}, got {answer.status}: {answer.body[:300]!r}")
    return answer


def request(method: str, path: str, body: bytes = b"", token: str = "", **headers: str) -> bytes:
    """`Content_Type=…` is the header Content-Type."""
    given = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if token:
        given["Authorization"] = f"Bearer {token}"
    if body:
        given["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


if __name__ == "__main__":
    sys.exit(main())
