"""A client that exports again and again with `_since` has in the end what the server has: R-BULK-024, -033.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status (transactionTime)
"""

import asyncio
import random  # noqa: TID251  a seeded sequence, the same in each run
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.exporting import begun, ended, lines
from tests.samples import patient

pytestmark = pytest.mark.anyio

WRITERS, WRITES, RUNS = 4, 40, 3
LONGEST_COMMIT = 0.5
"""Seconds; here a commit takes some milliseconds."""


@pytest.fixture
async def clinic(mongo_uri: str, tmp_path: Path) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "test_incremental", tmp_path) as inside:
        yield inside


async def _write(doctor: Caller, lane: int, chance: random.Random) -> None:
    """Creates, revises, deletes and brings back, each lane its own resources."""
    for _ in range(WRITES):
        path = f"/fhir/Observation/o-{lane}-{chance.randrange(8)}"
        if chance.random() < 0.3:
            await doctor.delete(path)
        else:
            status = chance.choice(("preliminary", "final", "amended"))
            id = path.rpartition("/")[2]
            found: Json = {"resourceType": "Observation", "id": id, "status": status, "code": {"text": "Skin"}}
            await doctor.store({**found, "subject": {"reference": "Patient/ann"}})
        await asyncio.sleep(chance.random() * 0.03)


async def _run(clinic: InProcess, client: Caller, since: str, copy: dict[str, Json]) -> str:
    """One export into the client's copy; the transactionTime that it told."""
    query = f"&_since={since}" if since else ""
    status = await begun(client, f"/fhir/$export?_type=Observation{query}")
    await asyncio.sleep(LONGEST_COMMIT)
    manifest = read(await ended(clinic, client, status))
    for each in manifest["output"]:
        for one in await lines(client, each["url"]):
            copy[one["id"]] = one
    for each in manifest.get("deleted", []):
        for bundle in await lines(client, each["url"]):
            for entry in bundle["entry"]:
                copy.pop(entry["request"]["url"].removeprefix("Observation/"), None)
    time: str = manifest["transactionTime"]
    return time


@pytest.mark.parametrize("seed", [1])
async def test_r_bulk_024_nothing_is_missed_while_others_write(clinic: InProcess, seed: int) -> None:
    doctor, client = clinic.caller(), clinic.caller("system/*.rs", client="warehouse")
    await doctor.store({**patient("Copied"), "id": "ann"})
    lanes = [asyncio.create_task(_write(doctor, lane, random.Random(f"{seed}{lane}"))) for lane in range(WRITERS)]
    copy: dict[str, Json] = {}

    since = ""
    for _ in range(RUNS):
        since = await _run(clinic, client, since, copy)
    await asyncio.gather(*lanes)
    await asyncio.sleep(0.005)
    await _run(clinic, client, since, copy)

    there = read(await doctor.get("/fhir/Observation?_count=100"))
    assert copy == {entry["resource"]["id"]: entry["resource"] for entry in there.get("entry", [])}
