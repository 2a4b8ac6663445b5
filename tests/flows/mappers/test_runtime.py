"""The runtime as a clinic sets it up: settings in a file, webhooks and HL7 v2 in, vendors asked, tried again."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncBaseTransport, AsyncClient, Request, Response

from fhir_server.kernel import json
from mappers.hl7v2.parsing import parsed
from mappers.mapping.message import Message
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.clock import now
from mappers.runtime.looking_after import LookingAfter
from mappers.runtime.mllp import END, START
from mappers.runtime.serving import listening
from mappers.runtime.settings import load
from mappers.runtime.web import build_app
from mappers.runtime.wiring import Runtime
from tests.clinics import InProcess
from tests.flows.mappers.conftest import KEY, SCOPES, STATE_KEY
from tests.mappers.exports import COLUMNS
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

SECRET = "a secret of forty-eight characters, as they make"
API_KEY = "MS0xMjM0NTY3ODkwMTIzNDU2Nzg5MA-uk1"
PABAU_KEY = "an_api_key_of_pabau_1234567890"
PATHS = {name: f"{name}-{'x' * 40}" for name in ("calcom", "calendly", "nextmotion", "pabau", "icalendar")}
CALCOM_AT = datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC)


class Vendors(AsyncBaseTransport):
    """The FHIR server in this process, and vendors that answer from the fixtures. Keeps what it was asked."""

    def __init__(self, clinic: InProcess) -> None:
        self.clinic = ASGITransport(clinic.app)
        self.base = clinic.clinic.settings.base_url
        self.asked: list[Request] = []
        self.pages: dict[str, Any] = {}

    async def handle_async_request(self, request: Request) -> Response:
        if str(request.url).startswith(self.base):
            return await self.clinic.handle_async_request(request)
        self.asked.append(request)
        for part, answer in self.pages.items():
            if part in str(request.url):
                return Response(200, content=answer if isinstance(answer, bytes) else json.encode(answer))
        return Response(404)


def written(folder: Path, base: str) -> Path:
    """The settings of a clinic that has everything."""

    def file(name: str, text: str) -> str:
        (folder / name).write_text(text + "\n")
        (folder / name).chmod(0o600)
        return name

    secret = file("secret", SECRET)
    hooks = [
        {"name": name, "system": name, "path": path, "secret_file": secret, **MORE.get(name, {})}
        for name, path in PATHS.items()
    ]
    file("cliniko-key", API_KEY)
    file("pabau-key", PABAU_KEY)
    file("nextmotion-key", "an api key of nextmotion")
    settings = {
        "server": base,
        "client_id": "mappers",
        "scope": " ".join(SCOPES),
        "key_file": file("key.json", json.encode(KEY).decode()),
        "state_key_file": file("state-key", STATE_KEY),
        "sources": [
            *hooks,
            {
                "name": "cliniko",
                "system": "cliniko",
                "api_key_file": "cliniko-key",
                "app": "Us",
                "email": "a@b.example",
            },
            {"name": "ehr", "system": "hl7v2", "port": 0},
            {"name": "old-system", "system": "csv", "columns": "columns.json", "tables": {"zone": "Europe/Paris"}},
        ],
    }
    (folder / "columns.json").write_bytes(json.encode(COLUMNS))
    (folder / "settings.json").write_bytes(json.encode(settings))
    return folder / "settings.json"


MORE: dict[str, dict[str, Any]] = {
    "nextmotion": {"api_key_file": "nextmotion-key", "id_at": "data.id", "file_hosts": ["files.vendor.example"]},
    "pabau": {"api_key_file": "pabau-key", "tables": {"zone": "Europe/London"}},
}


@pytest.fixture
async def vendors(clinic: InProcess) -> Vendors:
    return Vendors(clinic)


@pytest.fixture
async def runtime(clinic: InProcess, vendors: Vendors, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with AsyncClient(transport=vendors) as http:
        made = Runtime(load(written(tmp_path, clinic.base)), http, lambda: CALCOM_AT)
        # The fixtures are of March, the server's clock is not.
        tokens = BackendServices(http, clinic.base, "mappers", " ".join(SCOPES), KEY, now)
        made.server, made.here = replace(made.server, tokens=tokens), replace(made.here, tokens=tokens)
        yield made


@pytest.fixture
async def hooks(runtime: Runtime) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(build_app(runtime.hooks(), runtime.clock))
    async with AsyncClient(transport=transport, base_url="http://hooks.example") as http:
        yield http


async def search(clinic: InProcess, query: str) -> list[Any]:
    answer = await clinic.caller().get(f"/fhir/{query}")
    return [entry["resource"] for entry in json.decode(answer.content).get("entry", ())]


def signed(raw: bytes) -> dict[str, str]:
    return {"X-Cal-Signature-256": hmac.new(SECRET.encode(), raw, "sha256").hexdigest()}


async def test_a_signed_webhook_is_answered_after_its_commit(clinic: InProcess, hooks: AsyncClient) -> None:
    raw = named("calcom/booking-created").message.raw.replace(b"bFJeNb2uX8ANpT3JL5EfXw", b"by-webhook")

    answer = await hooks.post(f"/hooks/{PATHS['calcom']}", content=raw, headers=signed(raw))

    assert answer.status_code == 200
    assert await search(clinic, "Appointment?identifier=https://cal.com/booking-uid|by-webhook")


async def test_a_forged_webhook_leaves_nothing(clinic: InProcess, hooks: AsyncClient) -> None:
    raw = named("calcom/booking-created").message.raw.replace(b"bFJeNb2uX8ANpT3JL5EfXw", b"forged")

    answers = [
        await hooks.post(f"/hooks/{PATHS['calcom']}", content=raw, headers=signed(raw + b" ")),
        await hooks.post("/hooks/elsewhere", content=raw, headers=signed(raw)),
        await hooks.post(f"/hooks/{PATHS['calcom']}", content=b"x" * 1_100_000),
    ]

    assert [answer.status_code for answer in answers] == [401, 404, 413]
    assert not await search(clinic, "Appointment?identifier=https://cal.com/booking-uid|forged")


async def test_t42_s115_a_hint_is_not_believed_but_makes_us_ask(
    clinic: InProcess, hooks: AsyncClient, vendors: Vendors
) -> None:
    id = "c0ffee00-9999-4222-8333-444455556666"
    stored = named("nextmotion/appointment-confirmed").message.raw
    vendors.pages[f"calendar_appointments/{id}"] = stored.replace(b"c0ffee00-1111", b"c0ffee00-9999")
    hint = json.encode({"data": {"id": id, "status": "deleted"}})

    answer = await hooks.post(f"/hooks/{PATHS['nextmotion']}", content=hint, headers={"X-Webhook-Secret": SECRET})

    assert answer.status_code == 200
    assert vendors.asked[0].headers["authorization"] == "Bearer an api key of nextmotion"
    [visit] = await search(clinic, f"Appointment?identifier={id}")
    assert visit["status"] == "booked"


async def test_a_flood_of_hints_is_held_back(hooks: AsyncClient) -> None:
    path, headers = f"/hooks/{PATHS['nextmotion']}", {"X-Webhook-Secret": "wrong"}

    answers = [(await hooks.post(path, content=b"{}", headers=headers)).status_code for _ in range(40)]

    assert answers.count(401) == 30
    assert answers[-1] == 429


async def test_t42_pabau_is_asked_with_its_key_and_its_key_is_nowhere_here(
    clinic: InProcess, hooks: AsyncClient, vendors: Vendors
) -> None:
    item = json.decode(named("pabau/appointment-waiting").message.raw) | {"id": 77001}
    vendors.pages["/clients?"] = {"total": 0, "clients": []}
    vendors.pages["/appointments?"] = {"total": 1, "appointments": [item]}

    answer = await hooks.post(f"/hooks/{PATHS['pabau']}", content=b"anything", headers={"X-Webhook-Secret": SECRET})

    assert answer.status_code == 200
    assert PABAU_KEY in str(vendors.asked[0].url)
    [visit] = await search(clinic, "Appointment?identifier=77001")
    [raw] = await search(clinic, "DocumentReference?identifier=pabau")
    assert PABAU_KEY not in json.encode([visit, raw]).decode()


async def test_cliniko_is_asked_from_where_the_last_look_ended(
    runtime: Runtime, vendors: Vendors, clinic: InProcess
) -> None:
    source = runtime.settings.source("cliniko")
    vendors.pages["individual_appointments?"] = {
        "individual_appointments": [json.decode(named("cliniko/appointment").message.raw) | {"id": "9901"}],
        "links": {},
    }
    poller = runtime.pollers(source)[0]

    new = [await poller.poll(), await poller.poll()]

    assert new == [1, 0]
    assert "updated_at%3A%3E%3D2000-01-01" in str(vendors.asked[0].url)
    assert "updated_at%3A%3E%3D2026-04-01T08" in str(vendors.asked[1].url)
    assert vendors.asked[0].headers["user-agent"] == "Us (a@b.example)"
    assert len(await search(clinic, "Appointment?identifier=9901")) == 1


async def test_a_next_page_at_another_host_is_not_asked(runtime: Runtime, vendors: Vendors) -> None:
    vendors.pages["individual_appointments?"] = {"links": {"next": "https://169.254.169.254/latest"}}

    with pytest.raises(Exception, match="leads elsewhere"):
        await runtime.pollers(runtime.settings.source("cliniko"))[0].poll()

    assert len(vendors.asked) == 1


async def test_hl7_v2_is_taken_and_answered_over_a_socket(runtime: Runtime, clinic: InProcess) -> None:
    raw = named("hl7v2/siu-s12").message.raw
    for before, after in ((b"F-100", b"F-777"), (b"P-100", b"P-777"), (b"MSG00001", b"MLLP1")):
        raw = raw.replace(before, after)

    async with await listening(runtime, runtime.settings.source("ehr")) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(START + raw + END + START + raw.replace(b"SIU^S12", b"SIU^S99") + END + START + b"nonsense" + END)
        answers = [(await reader.readuntil(END))[1:-2] for _ in range(3)]
        writer.close()
        await writer.wait_closed()

    codes = [parsed(answer).need("MSA").text(1) for answer in answers]
    assert codes == ["AA", "AR", "AR"]
    assert await search(clinic, "Appointment?identifier=F-777")


async def test_what_cannot_be_mapped_is_put_aside_reported_and_tried_again(runtime: Runtime, clinic: InProcess) -> None:
    source = runtime.settings.source("pabau")
    delivery = runtime.delivery(source)
    body = json.decode(named("pabau/appointment-own-status").message.raw) | {"id": 66001}
    await delivery.deliver(Message(json.encode(body), CALCOM_AT))
    looking = LookingAfter(runtime.server)
    report = await looking.report("pabau")
    taught = replace(delivery.source.tables, statuses={"in treatment room": "checked-in"})
    delivery.source = replace(delivery.source, tables=taught)
    await looking.replay(delivery)

    assert [line for line in report if "table does not know" in line]
    [visit] = await search(clinic, "Appointment?identifier=66001")
    assert visit["status"] == "checked-in"
    assert not await looking.report("pabau")


async def test_raw_messages_end_after_their_time_but_not_those_put_aside(runtime: Runtime, clinic: InProcess) -> None:
    delivery = runtime.delivery(runtime.settings.source("icalendar"))
    await delivery.deliver(Message(named("icalendar/request").message.raw.replace(b"visit-1@", b"old@"), CALCOM_AT))
    await delivery.deliver(Message(b"not a calendar", CALCOM_AT))
    looking = LookingAfter(runtime.server)

    ended = await looking.expire(["icalendar"], CALCOM_AT + timedelta(days=15), timedelta(days=14))
    again = await looking.expire(["icalendar"], CALCOM_AT + timedelta(days=15), timedelta(days=14))

    assert ended >= 1
    assert again == 0
    left = {f"DocumentReference/{one['id']}" for one in await search(clinic, "DocumentReference?identifier=icalendar")}
    assert left == {task["focus"]["reference"] for task in await looking.put_aside("icalendar")}
