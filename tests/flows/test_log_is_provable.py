"""Over HTTP: who has the log's key proves that an event is in it as it was written, and that it only grew."""

import base64
import hashlib
from typing import Any

import pytest

from fhir_server.crypto import checkpoint, tree
from fhir_server.crypto.proving import continues, includes
from fhir_server.crypto.tree import TileId, leaf_hash
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]


@pytest.fixture
def auditor(clinic: InProcess) -> Caller:
    return clinic.caller("system/AuditEvent.rs", client="the-auditor")


@pytest.fixture
async def event(clinic: InProcess, auditor: Caller) -> str:
    """The id of an event that is in the tree."""
    doctor = clinic.caller()
    stored = await doctor.store(patient("Proven"))
    [entry] = read(await auditor.get(f"/fhir/AuditEvent?patient=Patient/{stored['id']}"))["entry"]
    await sequenced(clinic)
    return str(entry["resource"]["id"])


async def sequenced(clinic: InProcess) -> None:
    while await clinic.clinic.store.sequencer.once():
        pass


def parameters(body: Json) -> dict[str, Any]:
    assert body["resourceType"] == "Parameters"
    return {
        one["name"]: next(value for name, value in one.items() if name.startswith("value")) for one in body["parameter"]
    }


def hashes(text: str) -> list[bytes]:
    return [base64.b64decode(line) for line in text.split()]


async def test_an_event_is_proven_to_be_in_the_log_as_it_was_written(auditor: Caller, event: str) -> None:
    answer = await auditor.get(f"/fhir/AuditEvent/{event}/$proof")
    assert answer.status_code == 200, answer.text
    told = parameters(read(answer))
    key = (await auditor.get("/audit/key")).text
    written, salt, entry = (base64.b64decode(told[name]) for name in ("event", "salt", "entry"))

    head, note = told["proof"].split("\n\n", 1)
    version, place, *path = head.split("\n")
    signed = checkpoint.opened(note, key)

    assert version == "c2sp.org/tlog-proof@v1"
    index = int(place.removeprefix("index "))
    assert includes(leaf_hash(entry), index, signed.size, hashes(" ".join(path)), signed.root)
    assert entry.startswith(hashlib.sha256(salt + written).digest())
    assert json.decode(written)["id"] == event
    assert told["assurance"] == "operator-attested"
    assert told["key"] == key.strip()


async def test_the_log_is_proven_to_have_only_grown(clinic: InProcess, auditor: Caller, event: str) -> None:
    del event
    key = (await auditor.get("/audit/key")).text
    before = checkpoint.opened((await auditor.get("/audit/checkpoint")).text, key)
    await auditor.get("/fhir/AuditEvent?_id=none")
    await sequenced(clinic)

    told = parameters(read(await auditor.get(f"/fhir/AuditEvent/$proof?old={before.size}")))
    after = checkpoint.opened(told["checkpoint"], key)

    assert (told["old"], told["new"]) == (before.size, after.size)
    assert after.size > before.size
    assert continues(before.size, after.size, before.root, after.root, hashes(told["proof"]))


@pytest.mark.parametrize("old", ["", "?old=", "?old=-1", "?old=99999999", "?old=x"])
async def test_a_size_that_the_log_never_had_is_refused(auditor: Caller, event: str, old: str) -> None:
    del event

    assert (await auditor.get(f"/fhir/AuditEvent/$proof{old}")).status_code == 400


async def test_whoever_has_the_tiles_makes_the_root_of_them(auditor: Caller, event: str) -> None:
    del event
    signed = checkpoint.parsed((await auditor.get("/audit/checkpoint")).text)
    tiles = {}
    for id in tree.edge(signed.size):
        width = signed.size // 256**id.level % 256
        answer = await auditor.get(f"/audit/tile/{tree.path_of(id, width)}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        tiles[id] = answer.content

    assert tree.root(signed.size, tiles) == signed.root


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/0",
        "0/0000",
        "0/999",
        "0/000.p/0",
        "0/000.p/256",
        "64/000",
        "0/x000/000",
        "0/000.p/01",
        "a/000",
        "-1/000",
    ],
)
async def test_where_no_tile_is_there_is_none(auditor: Caller, event: str, path: str) -> None:
    del event

    assert (await auditor.get(f"/audit/tile/{path}")).status_code == 404


async def test_a_full_tile_may_be_kept_for_good(clinic: InProcess, auditor: Caller) -> None:
    while (await clinic.clinic.store.log.tiles([TileId(1, 0)])) == {}:
        for _ in range(60):
            await auditor.get("/fhir/AuditEvent/nobody-1")
        await sequenced(clinic)

    answer = await auditor.get("/audit/tile/0/000")

    assert (len(answer.content), answer.headers["cache-control"]) == (8192, "public, max-age=31536000, immutable")


async def test_a_proof_takes_the_scope_of_the_log_and_is_recorded(
    clinic: InProcess, auditor: Caller, event: str
) -> None:
    doctor = clinic.caller()
    assert (await doctor.get(f"/fhir/AuditEvent/{event}/$proof")).status_code == 403
    assert (await doctor.get("/fhir/AuditEvent/$proof?old=1")).status_code == 403
    assert (await clinic.stranger.get(f"/fhir/AuditEvent/{event}/$proof")).status_code == 401
    assert (await auditor.get("/fhir/AuditEvent/nobody-1/$proof")).status_code == 404

    async with clinic.trail.recording() as recorded:
        await auditor.get(f"/fhir/AuditEvent/{event}/$proof")

    assert {"name": "$proof"} in [{"name": one.get("name")} for one in recorded.only["entity"]]


async def test_an_event_that_is_not_in_the_tree_yet_is_503(clinic: InProcess, auditor: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        await auditor.get("/fhir/AuditEvent/nobody-1")

    answer = await auditor.get(f"/fhir/AuditEvent/{recorded.only['id']}/$proof")

    assert answer.status_code == 503
