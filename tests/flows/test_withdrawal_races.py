"""A withdrawal while a photo is read or stored: it wins, whichever comes first."""

import asyncio
import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from fhir_server.kernel.identity import ResourceKey
from tests.clinics import Caller, InProcess, read
from tests.flows.second import second
from tests.flows.withdrawals import Case, until_done
from tests.samples import jpeg, media

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.mark.parametrize("ends", ["consent", "token"])
async def test_a_withdrawal_and_a_revocation_cut_a_running_stream(clinic: InProcess, doctor: Caller, ends: str) -> None:
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
            if ends == "consent":
                await case.withdraw()
            else:
                await clinic.clinic.store.grant_states.end_all("client/streaming", "revoked")
        arrived.extend(message.get("body", b""))
        whole = not message.get("more_body", False)

    await clinic.app(scope_of(clinic, case.paths()[1]), receive, send)

    assert 0 < len(arrived) <= 2 * 262_144
    assert not whole


def scope_of(clinic: InProcess, path: str) -> MutableMapping[str, Any]:
    token = clinic.token(client="streaming")
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


@pytest.fixture(scope="module")
async def other(clinic: InProcess, doctor: Caller) -> AsyncIterator[Caller]:
    """The same doctor at the other process."""
    with second(clinic) as port:
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield Caller(http, doctor.headers)


async def test_s_84_what_one_process_remembers_ends_with_a_withdrawal_in_the_other(
    doctor: Caller, other: Caller
) -> None:
    case = await Case(doctor).begin()
    there = Case(other)
    there.patient, there.consent, there.photos = case.patient, case.consent, case.photos
    assert set(await there.statuses()) <= {200, 206}

    await case.withdraw()

    assert await there.statuses() == [403] * 6


async def test_s_84_a_photo_stored_in_one_process_during_a_withdrawal_in_the_other_does_not_stay(
    clinic: InProcess, doctor: Caller, other: Caller
) -> None:
    for first, last in ((doctor, other), (other, doctor)) * 2:
        case = await Case(first).begin(photos=0)

        stored, _ = await asyncio.gather(last.post("/fhir/Media", media(case.patient, jpeg())), case.withdraw())
        await until_done(clinic)

        assert stored.status_code in {201, 403}
        rows = clinic.mongo[clinic.database]["photos"]
        assert await rows.count_documents({"subjects": case.patient, "state": "live"}) == 0


async def test_s_84_a_withdrawal_in_one_process_cuts_a_stream_of_the_other(doctor: Caller, other: Caller) -> None:
    """More bytes than two kernels buffer, to a reader who waits."""
    case = await Case(doctor).begin(size=12_000_000)
    port = other.http.base_url.port
    reading = socket.socket()
    reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    reading.settimeout(0)
    loop = asyncio.get_running_loop()
    with reading:
        await loop.sock_connect(reading, ("127.0.0.1", port))
        head = f"GET {case.paths()[1]} HTTP/1.1\r\nHost: x\r\nAuthorization: {doctor.headers['Authorization']}\r\n\r\n"
        await loop.sock_sendall(reading, head.encode())
        arrived = len(first := await loop.sock_recv(reading, 4096))
        assert first.startswith(b"HTTP/1.1 200")

        await case.withdraw()

        with suppress(ConnectionError):
            while part := await loop.sock_recv(reading, 1 << 20):
                arrived += len(part)
    assert arrived < 12_000_000


async def test_s_79_two_who_withdraw_at_once_in_two_processes_withdraw_once(doctor: Caller, other: Caller) -> None:
    case = await Case(doctor).begin(photos=0)
    path = f"/fhir/Consent/{case.consent['id']}"

    answers = await asyncio.gather(*(who.post(f"{path}/$withdraw") for who in (doctor, other)))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert read(await doctor.get(f"{path}/_history"))["total"] == 2
