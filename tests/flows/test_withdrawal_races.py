"""A withdrawal while a photo is read or stored: it wins, whichever comes first."""

import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.kernel.identity import ResourceKey
from tests.clinics import Caller, InProcess
from tests.flows.withdrawals import Case, until_done
from tests.samples import jpeg, media

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


async def test_a_withdrawal_cuts_a_running_stream(clinic: InProcess, doctor: Caller) -> None:
    """Straight at the application: an HTTP client in the same process would take the answer only when it is whole."""
    case = await Case(doctor).begin(size=3_000_000)
    arrived = bytearray()
    whole = False

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal whole
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        if not arrived:
            await case.withdraw()
        arrived.extend(message.get("body", b""))
        whole = not message.get("more_body", False)

    await clinic.app(scope_of(clinic, case.paths()[1]), receive, send)

    assert 0 < len(arrived) <= 2 * 262_144
    assert not whole


def scope_of(clinic: InProcess, path: str) -> MutableMapping[str, Any]:
    token = clinic.token()
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {token}".encode())],
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }


async def test_a_photo_stored_while_the_consent_is_withdrawn_is_either_refused_or_destroyed(
    clinic: InProcess, doctor: Caller
) -> None:
    for _ in range(5):
        case = await Case(doctor).begin(photos=0)

        stored, _ = await asyncio.gather(doctor.post("/fhir/Media", media(case.patient, jpeg())), case.withdraw())
        await until_done(clinic)

        assert stored.status_code in {201, 403}
        rows = clinic.mongo[clinic.database]["photos"]
        assert await rows.count_documents({"subjects": case.patient, "state": "live"}) == 0


async def test_a_photo_that_was_never_committed_is_swept(clinic: InProcess, doctor: Caller) -> None:
    case = await Case(doctor).begin(photos=0)
    photos = clinic.clinic.store.photos
    left = await photos.put(jpeg(), "image/jpeg", ResourceKey("Media", "never"), (case.patient,))
    rows = clinic.mongo[clinic.database]["photos"]
    await rows.update_one({"_id": left.id}, {"$set": {"since": left.since - timedelta(hours=2)}})

    assert await photos.sweep() >= 1

    assert (await rows.find_one({"_id": left.id}) or {})["state"] == "destroyed"
    assert (await doctor.get(f"/fhir/Binary/{left.id}")).status_code in {404, 410}
