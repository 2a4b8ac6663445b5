"""A booking in each tool: made, changed, cancelled, by the way that the tool itself uses. One Appointment, and told of.

M13, M18, S115, T42. Nothing was received from a vendor: the messages are the golden fixtures.
"""

import asyncio
import hmac
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient

from fhir_server.kernel import json
from fhir_server.smart.clients.client import Client, Kind
from mappers.hl7v2.parsing import parsed
from mappers.runtime.archive import Archive
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.clock import now
from mappers.runtime.mllp import END, START
from mappers.runtime.serving import listening
from mappers.runtime.settings import load
from mappers.runtime.web import build_app
from mappers.runtime.wiring import Runtime, importing_of
from tests.clinics import Caller, InProcess, read
from tests.flows.mappers.conftest import KEY, SCOPES
from tests.flows.mappers.test_runtime import PATHS, SECRET, Vendors, written
from tests.flows.receiving import Receiver, receiving
from tests.mappers.exports import COLUMNS
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

FILE = "rendez-vous.csv"
CSV_STORY = {"booked": ("16/03/2026 10:00", "Prévu"), "moved": ("17/03/2026 11:00", "Prévu")}
CSV_STORY["cancelled"] = ("17/03/2026 11:00", "Annulé")


@dataclass(frozen=True, slots=True)
class Story:
    """`steps`: what the tool tells, and the status that the subscriber sees then; None where nothing is new."""

    system: str
    value: str
    steps: tuple[tuple[str, str | None], ...]


BOOKED, CANCELLED = "booked", "cancelled"
STORIES = {
    "calcom": Story(
        "https://cal.com/booking-uid",
        "bFJeNb2uX8ANpT3JL5EfXw",
        (("booking-created", BOOKED), ("booking-rescheduled", BOOKED), ("booking-cancelled", CANCELLED)),
    ),
    "calendly": Story(
        "",
        "https://api.calendly.com/scheduled_events/AAAA/invitees/I1",
        (
            ("invitee-created", BOOKED),
            ("rescheduled-old", None),
            ("rescheduled-new", BOOKED),
            ("invitee-canceled", CANCELLED),
        ),
    ),
    "cliniko": Story(
        "", "1501", (("appointment", BOOKED), ("appointment-arrived", "arrived"), ("appointment-cancelled", CANCELLED))
    ),
    "nextmotion": Story(
        "",
        "c0ffee00-1111-4222-8333-444455556666",
        (
            ("appointment-confirmed", BOOKED),
            ("appointment-waiting-room", "arrived"),
            ("appointment-last-minute", CANCELLED),
        ),
    ),
    "pabau": Story(
        "",
        "88001",
        (("appointment-waiting", BOOKED), ("appointment-running-late", BOOKED), ("appointment-cancelled", CANCELLED)),
    ),
    "icalendar": Story(
        "urn:ietf:rfc:5545:uid",
        "visit-1@example.org",
        (("request", BOOKED), ("request-moved", BOOKED), ("cancel", CANCELLED)),
    ),
    "hl7v2": Story("", "F-100", (("siu-s12", BOOKED), ("siu-s13", BOOKED), ("siu-s15", CANCELLED))),
    "csv": Story(
        "urn:example:old-system:appointment",
        "told-1",
        (("booked", BOOKED), ("moved", BOOKED), ("cancelled", CANCELLED)),
    ),
}


@dataclass(slots=True)
class Tools:
    """Each message by the way that its tool has: a webhook, a hint, an answer to our question, MLLP, an export."""

    runtime: Runtime
    hooks: AsyncClient
    vendors: Vendors
    folder: Path
    at: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    async def tell(self, system: str, name: str, when: datetime) -> None:
        self.at = when
        if system == "csv":
            return await self._imported(*CSV_STORY[name])
        raw = named(f"{system}/{name}").message.raw
        if system == "hl7v2":
            return await self._by_mllp(raw)
        if system == "cliniko":
            return await self._asked(json.decode(raw) | {"updated_at": when.isoformat()})
        return await self._posted(system, raw)

    async def _posted(self, system: str, raw: bytes) -> None:
        headers = {"X-Webhook-Secret": SECRET}
        if system == "calcom":
            self.at = datetime.fromisoformat(json.decode(raw)["createdAt"])
            headers = {"X-Cal-Signature-256": hmac.new(SECRET.encode(), raw, "sha256").hexdigest()}
        if system == "calendly":
            stamp = str(int(self.at.timestamp()))
            mac = hmac.new(SECRET.encode(), f"{stamp}.".encode() + raw, "sha256").hexdigest()
            headers = {"Calendly-Webhook-Signature": f"t={stamp},v1={mac}"}
        if system == "nextmotion":
            body = json.decode(raw) | {"modified_time": self.at.isoformat()}
            self.vendors.pages[f"calendar_appointments/{body['id']}"] = body
            raw = json.encode({"data": {"id": body["id"]}})
        if system == "pabau":
            item = json.decode(raw) | {"id": int(STORIES["pabau"].value)}
            item["details"]["last_updated"] = f"{self.at:%Y-%m-%d %H:%M:%S}"
            self.vendors.pages |= {"/clients?": {"clients": []}, "/appointments?": {"appointments": [item]}}
        answer = await self.hooks.post(f"/hooks/{PATHS[system]}", content=raw, headers=headers)
        assert answer.status_code == 200, answer.text

    async def _asked(self, item: Any) -> None:
        self.vendors.pages["individual_appointments?"] = {"individual_appointments": [item], "links": {}}
        await self.runtime.pollers(self.runtime.settings.source("told-cliniko"))[0].poll()

    async def _by_mllp(self, raw: bytes) -> None:
        async with await listening(self.runtime, self.runtime.settings.source("told-ehr")) as listener:
            reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
            writer.write(START + raw + END)
            answer = (await reader.readuntil(END))[1:-2]
            writer.close()
            await writer.wait_closed()
        assert parsed(answer).need("MSA").text(1) == "AA"

    async def _imported(self, start: str, status: str) -> None:
        source = self.runtime.settings.source("told-old-system")
        importing = importing_of(source, self.runtime.clock)
        with zipfile.ZipFile(self.folder / "export.zip", "w") as made:
            row = f"ID;Patient;Début;Durée;Statut\n{STORIES['csv'].value};told;{start};30;{status}\n"
            made.writestr(FILE, row.encode("cp1252"))
        with Archive(self.folder / "export.zip") as archive:
            await importing.run(archive, self.runtime.importing_delivery(source, importing))


@pytest.fixture(scope="module")
async def tools(clinic: InProcess, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    folder, vendors = tmp_path_factory.mktemp("tools"), Vendors(clinic)
    file = written(folder, clinic.base)
    given = json.decode(file.read_bytes())
    for source in given["sources"]:
        # Sources of this test's own: how far they were asked, and what was put aside, is nobody else's.
        source["name"] = f"told-{source['name']}"
    file.write_bytes(json.encode(given))
    appointments = COLUMNS["files"][FILE]
    known = {"status": {**appointments["codes"]["status"], "Annulé": CANCELLED}}
    columns = {**COLUMNS, "files": {FILE: {**appointments, "codes": known}}}
    (folder / "columns.json").write_bytes(json.encode(columns))
    async with AsyncClient(transport=vendors) as http:
        runtime = Runtime(load(file), http, lambda: made.at)
        # The messages are of March, the server's clock is not.
        tokens = BackendServices(http, clinic.base, "mappers", " ".join(SCOPES), KEY, now)
        runtime.server = replace(runtime.server, tokens=tokens)
        transport = ASGITransport(build_app(runtime.hooks(), runtime.clock))
        async with AsyncClient(transport=transport, base_url="http://hooks.example") as hooks:
            made = Tools(runtime, hooks, vendors, folder)
            yield made


@dataclass(frozen=True, slots=True)
class Subscribed:
    clinic: InProcess
    caller: Caller
    receiver: Receiver

    async def seen(self) -> list[Any]:
        """What was told since the last look: each read under the subscriber's own rights."""
        self.receiver.came.clear()
        await self.clinic.clinic.notifier.once()
        return [read(await self.caller.get(f"/fhir/{one.focus}")) for one in self.receiver.events]


@pytest.fixture(scope="module")
async def subscriber(clinic: InProcess) -> AsyncIterator[Subscribed]:
    scopes = ("system/Appointment.rs", "system/Subscription.cruds")
    assert clinic.clinic.store.clients.save(Client("calendar", Kind.BACKEND, "Calendar", scopes, revision=1))
    async with receiving() as receiver:
        caller = clinic.caller(*scopes, client="calendar")
        stored = await caller.store(
            {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": "To keep the calendar",
                "criteria": "Appointment?",
                "channel": {"type": "rest-hook", "endpoint": receiver.url},
            }
        )
        await clinic.clinic.notifier.once()
        yield Subscribed(clinic, caller, receiver)
        await caller.delete(f"/fhir/Subscription/{stored['id']}")


@pytest.mark.parametrize("system", STORIES)
async def test_m13_m18_a_booking_made_changed_and_cancelled_is_one_appointment_of_which_a_subscriber_is_told(
    tools: Tools, subscriber: Subscribed, system: str
) -> None:
    story = STORIES[system]
    await subscriber.seen()
    told: list[tuple[Any, ...]] = []

    for day, (name, status) in enumerate(story.steps, 1):
        await tools.tell(system, name, datetime(2026, 7, day, tzinfo=UTC))
        seen = await subscriber.seen()
        assert [one["status"] for one in seen] == ([status] if status else [])
        told += [(one["id"], one.get("start"), one["meta"]["versionId"]) for one in seen]

    [id] = {one[0] for one in told}
    assert len({one[2] for one in told}) == len(told)
    assert {event.body for event in subscriber.receiver.events} == {b""}
    query = f"/fhir/Appointment?identifier={story.system and story.system + '|'}{story.value}"
    found = read(await subscriber.caller.get(query))
    assert [entry["resource"]["id"] for entry in found["entry"]] == [id]


async def test_a_story_told_again_is_known_and_nobody_is_told(tools: Tools, subscriber: Subscribed) -> None:
    await tools.tell("hl7v2", "siu-s12", datetime(2026, 8, 1, tzinfo=UTC))
    await subscriber.seen()

    for name, _ in STORIES["hl7v2"].steps[:1]:
        await tools.tell("hl7v2", name, datetime(2026, 8, 1, tzinfo=UTC) + timedelta(days=1))

    assert await subscriber.seen() == []
