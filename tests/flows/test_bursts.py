"""Fifty who ask for the same at one instant, half of them in another process: one resource, and nobody is sent away.

what-users-ask 1; R-FHIR-010, 012, 013, 020
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import AsyncClient, Limits, Response

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, read
from tests.samples import patient
from tests.servers import Server, started

pytestmark = pytest.mark.anyio

MANY = 50
SYSTEM = "urn:burst"
PATCH = {"Content-Type": "application/json-patch+json"}


@dataclass(frozen=True)
class Pair:
    """Two processes on one database; what is asked goes to one and the other by turns."""

    clients: tuple[AsyncClient, ...]

    async def burst(self, method: str, path: str, body: Json | str, **headers: str) -> list[Response]:
        """Everybody with a body of the same content."""
        content = body.encode() if isinstance(body, str) else json.encode(body)
        sent = {"Content-Type": FHIR_JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        asked = (
            self.clients[place % len(self.clients)].request(method, path, content=content, headers=sent)
            for place in range(MANY)
        )
        return list(await asyncio.gather(*asked))

    async def ask(self, method: str, path: str, body: Json | None = None) -> Response:
        content = json.encode(body) if body else b""
        return await self.clients[0].request(method, path, content=content, headers={"Content-Type": FHIR_JSON})

    async def matches(self, number: str) -> list[Json]:
        found = read(await self.ask("GET", f"/fhir/Patient?{criteria(number)}"))
        return [entry["resource"] for entry in found.get("entry", [])]


@pytest.fixture(scope="module")
def servers(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    folder: Path = tmp_path_factory.mktemp("bursts")
    settings = {"mongo_uri": mongo_uri, "database": f"test_bursts_{secrets.token_hex(3)}", "log_level": "error"}
    with ExitStack() as stack:
        yield [stack.enter_context(started("serve", folder, **settings)) for _ in range(2)]


@pytest.fixture
async def pair(servers: list[Server]) -> AsyncIterator[Pair]:
    headers = {"Authorization": f"Bearer {servers[0].token()}"}
    # The port is part of the address that a token is good for, so the second one has a token of its own.
    tokens = [headers, {"Authorization": f"Bearer {servers[1].token()}"}]
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                AsyncClient(
                    base_url=f"http://127.0.0.1:{server.port}",
                    headers=token,
                    timeout=60,
                    limits=Limits(max_connections=MANY),
                )
            )
            for server, token in zip(servers, tokens, strict=True)
        ]
        yield Pair(tuple(clients))


@pytest.fixture
def number() -> str:
    return secrets.token_hex(6)


def criteria(number: str) -> str:
    return f"identifier={SYSTEM}|{number}"


def known_as(number: str, **more: str) -> Json:
    return patient("Burst", identifier=[{"system": SYSTEM, "value": number}], **more)


def counted(answers: list[Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_r_fhir_010_fifty_conditional_creates_at_one_instant_in_two_processes_make_one_resource(
    pair: Pair, number: str
) -> None:
    answers = await pair.burst("POST", "/fhir/Patient", known_as(number), If_None_Exist=criteria(number))

    assert counted(answers) == {201: 1, 200: MANY - 1}
    assert len({read(answer)["id"] for answer in answers}) == 1
    assert len(await pair.matches(number)) == 1


@pytest.mark.parametrize("there", [False, True])
async def test_r_fhir_013_fifty_conditional_updates_at_one_instant_in_two_processes_make_one_resource(
    pair: Pair, number: str, *, there: bool
) -> None:
    if there:
        await pair.ask("POST", "/fhir/Patient", known_as(number))

    answers = await pair.burst("PUT", f"/fhir/Patient?{criteria(number)}", known_as(number))

    assert counted(answers) == ({200: MANY} if there else {201: 1, 200: MANY - 1})
    [only] = await pair.matches(number)
    assert int(only["meta"]["versionId"]) == MANY + there
    versions = sorted(int(read(answer)["meta"]["versionId"]) for answer in answers)
    assert versions == list(range(1 + there, MANY + 1 + there)), "each made a version of its own"


async def test_r_fhir_014_fifty_conditional_patches_at_one_instant_in_two_processes_all_take_effect(
    pair: Pair, number: str
) -> None:
    await pair.ask("POST", "/fhir/Patient", known_as(number))
    patch = '[{"op":"add","path":"/name/-","value":{"text":"one more"}}]'

    answers = await pair.burst("PATCH", f"/fhir/Patient?{criteria(number)}", patch, **PATCH)

    assert counted(answers) == {200: MANY}
    [only] = await pair.matches(number)
    assert len(only["name"]) == MANY + 1


async def test_r_fhir_011_fifty_updates_at_one_instant_in_two_processes_all_take_effect(
    pair: Pair, number: str
) -> None:
    id = secrets.token_hex(6)
    path = f"/fhir/Patient/{id}"

    answers = await pair.burst("PUT", path, known_as(number, id=id))

    assert counted(answers) == {201: 1, 200: MANY - 1}
    assert read(await pair.ask("GET", path))["meta"]["versionId"] == str(MANY)


async def test_r_fhir_016_fifty_conditional_deletes_at_one_instant_in_two_processes_delete_once(
    pair: Pair, number: str
) -> None:
    there = read(await pair.ask("POST", "/fhir/Patient", known_as(number)))

    answers = await pair.burst("DELETE", f"/fhir/Patient?{criteria(number)}", "")

    assert counted(answers) == {204: MANY}
    history = read(await pair.ask("GET", f"/fhir/Patient/{there['id']}/_history"))
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "POST"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_r_fhir_020_fifty_transactions_at_one_instant_in_two_processes_make_one_resource(
    pair: Pair, number: str, method: str
) -> None:
    name = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    request: Json = {"method": method, "url": "Patient" if method == "POST" else f"Patient?{criteria(number)}"}
    if method == "POST":
        request["ifNoneExist"] = criteria(number)
    observation: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "burst"},
        "subject": {"reference": name},
    }
    bundle: Json = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": name, "request": request, "resource": known_as(number)},
            {"request": {"method": "POST", "url": "Observation"}, "resource": observation},
        ],
    }

    answers = await pair.burst("POST", "/fhir", bundle)

    assert counted(answers) == {200: MANY}
    statuses = Counter(read(answer)["entry"][0]["response"]["status"] for answer in answers)
    assert statuses == {"201": 1, "200": MANY - 1}
    [only] = await pair.matches(number)
    found = read(await pair.ask("GET", f"/fhir/Observation?subject=Patient/{only['id']}&_summary=count"))
    assert found["total"] == MANY
