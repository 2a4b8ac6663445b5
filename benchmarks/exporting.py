"""How fast everything leaves: a bulk export with the download of its files, and `$everything` of one patient.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html; https://hl7.org/fhir/R4/patient-operation-everything.html
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from httpx2 import AsyncClient, Response

from benchmarks import payloads, processor_time
from benchmarks.connection import BenchmarkError
from fhir_server.export.job import CLOCK_SKEW, LONGEST_COMMIT
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

_OF_ONE = 1_000
_OBSERVATIONS = 9
_BATCH = 500
_DOWNLOADS = 2
_TIMES = 5
_RUNNING = 202

SETTLED = 61.0
"""Seconds. What is younger is looked at twice: some of it may have become visible late."""


@dataclass(frozen=True, slots=True)
class Place:
    """The process ids of server, worker and database; the server's port, and a token that may read everything."""

    port: int
    token: str
    server: int
    worker: int
    database: int

    def used(self) -> float:
        return sum(map(processor_time.of_process, (self.server, self.worker, self.database)))


class Exported(NamedTuple):
    """Seconds of the worker's lists and of the downloads, and processor milliseconds of either for one resource.

    `grown`: by how many MB server or worker was larger at most than before.
    """

    resources: int
    listing: float
    fetching: float
    listing_cost: float
    fetching_cost: float
    grown: float

    @property
    def rate(self) -> float:
        return self.resources / (self.listing + self.fetching)


class Everything(NamedTuple):
    """Of one answer, in seconds; `processor` is that of server and database together."""

    resources: int
    seconds: float
    processor: float


async def filled(place: Place, resources: int) -> None:
    """Patients with their Observations, and one patient with a thousand resources."""
    found: list[Json] = [json.decode(payloads.known_patient("all", 1))]
    found += [
        json.decode(payloads.observation("all", number)) | {"id": f"all-{number}"} for number in range(1, _OF_ONE)
    ]
    for number in range((resources - _OF_ONE) // (_OBSERVATIONS + 1)):
        id = f"exported-{number}"
        found.append(json.decode(payloads.known_patient(id, number)))
        found += [
            json.decode(payloads.observation(id, number)) | {"id": f"{id}-{index}"} for index in range(_OBSERVATIONS)
        ]
    async with _client(place) as http:
        for start in range(0, len(found), _BATCH):
            entries = [
                {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
                for one in found[start : start + _BATCH]
            ]
            bundle = json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
            _require(await http.post("/fhir", content=bundle, headers={"Content-Type": "application/fhir+json"}), 200)


async def exported(place: Place) -> Exported:
    """From the instant at which the worker may begin."""
    async with _client(place) as http, _watched(place) as memory:
        asking = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
        begun = await http.get("/fhir/$export?_type=Patient,Observation", headers=asking)
        status = urlsplit(_require(begun, _RUNNING).headers["content-location"]).path
        await asyncio.sleep((LONGEST_COMMIT + CLOCK_SKEW).total_seconds())
        began, used = time.perf_counter(), place.used()
        while (answer := await http.get(status)).status_code == _RUNNING:  # noqa: ASYNC110  it is polled
            await asyncio.sleep(0.1)
        manifest = json.decode(_require(answer, 200).content)
        listed, used_listing = time.perf_counter(), place.used()
        files = [urlsplit(one["url"]).path for one in manifest["output"]]
        lines = 0
        for start in range(0, len(files), _DOWNLOADS):
            some = await asyncio.gather(*(http.get(file) for file in files[start : start + _DOWNLOADS]))
            lines += sum(_require(one, 200).content.count(b"\n") for one in some)
        fetched, used_fetching = time.perf_counter(), place.used()
        if lines != sum(one["count"] for one in manifest["output"]):
            raise BenchmarkError("Files do not hold as many resources as the manifest says.")
    return Exported(
        lines,
        listed - began,
        fetched - listed,
        (used_listing - used) / lines * 1e3,
        (used_fetching - used_listing) / lines * 1e3,
        memory.grown / 1e6,
    )


async def everything(place: Place) -> Everything:
    """Of the patient with a thousand resources: the median of some times, after a first."""
    async with _client(place) as http:
        spent: list[float] = []
        used, found = 0.0, 0
        for time_ in range(_TIMES + 1):
            before, began, found = place.used(), time.perf_counter(), 0
            url: str | None = "/fhir/Patient/all/$everything"
            while url:
                bundle = json.decode(_require(await http.get(url), 200).content)
                found += len(bundle["entry"])
                url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
            if found < _OF_ONE:
                raise BenchmarkError(f"$everything told {found} of {_OF_ONE} resources.")
            if time_:
                spent.append(time.perf_counter() - began)
                used += place.used() - before
    return Everything(found, median(spent), used / _TIMES)


def _client(place: Place) -> AsyncClient:
    headers = {"Authorization": f"Bearer {place.token}"}
    return AsyncClient(base_url=f"http://127.0.0.1:{place.port}", headers=headers, timeout=120)


def _require(answer: Response, status: int) -> Response:
    if answer.status_code != status:
        raise BenchmarkError(f"Expected {status}, got {answer.status_code}: {answer.content[:300]!r}")
    return answer


class _Memory:
    """By how many bytes server or worker was larger at most than in the beginning."""

    def __init__(self, place: Place) -> None:
        self._before = {pid: processor_time.resident(pid) for pid in (place.server, place.worker)}
        self.grown = 0

    async def watch(self) -> None:
        while True:
            now = (processor_time.resident(pid) - before for pid, before in self._before.items())
            self.grown = max(self.grown, *now)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _watched(place: Place) -> AsyncIterator[_Memory]:
    memory = _Memory(place)
    watching = asyncio.create_task(memory.watch())
    try:
        yield memory
    finally:
        watching.cancel()
