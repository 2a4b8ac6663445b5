"""A clinic with the runtime registered as a service, and a delivery for each system."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from mappers.mapping.message import Tables
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.clock import now
from mappers.runtime.delivery import Delivery, Source
from mappers.runtime.records import Records
from mappers.runtime.server import Server
from tests.clinics import InProcess, running
from tests.mappers.golden import reader, tables

KEY = new_private_jwk("ES384")
TYPES = ("Appointment", "Basic", "DocumentReference", "Encounter", "Media", "Patient", "Provenance")
MORE_TYPES = ("QuestionnaireResponse", "Schedule", "Slot", "Task")
SCOPES = tuple(f"system/{type}.cruds" for type in (*TYPES, *MORE_TYPES))
RECEIVED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
STATE_KEY = "a key of the runtime's own, kept with its settings"

Deliveries = Callable[[str], Delivery]


@pytest.fixture(scope="package")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("mappers")
    async with running(mongo_uri, "test_mappers", data_dir, token_rate=10_000, notify_loopback=True) as inside:
        client = Client("mappers", Kind.BACKEND, "Mappers", SCOPES, purposes=("TREAT",), jwks=public_set(KEY))
        assert inside.clinic.store.clients.save(replace(client, revision=1))
        yield inside


@pytest.fixture(scope="package")
def server(clinic: InProcess) -> Server:
    tokens = BackendServices(clinic.http, clinic.base, "mappers", " ".join(SCOPES), KEY, now)
    return Server(clinic.http, clinic.base, tokens, pauses=(0.01,))


@pytest.fixture
def deliveries(server: Server, request: pytest.FixtureRequest) -> Deliveries:
    """By the name of a reader, such as `booking.calcom.bookings`; each test has a source of its own."""

    def made(name: str) -> Delivery:
        type = "x-application/hl7-v2+er7" if name.startswith("hl7v2") else "application/json"
        given = tables({"zone": "Europe/London"}) if "pabau" in name else Tables()
        source = Source(f"{request.node.name}:{name}", reader(name), given, type)
        return Delivery(server, source, Records(source.name, STATE_KEY), lambda: RECEIVED)

    return made
