"""A whole clinic inside the test's own process: the real application on the session's mongod, reached without a socket.

Fixtures of tests/flows, tests/api and tests/attacks are made of it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from pymongo import AsyncMongoClient

from fhir_server.app import build_app
from fhir_server.clinic import Clinic
from fhir_server.kernel import json
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.settings import Settings
from fhir_server.smart.grant import Grant
from fhir_server.smart.roles import SYSTEM
from fhir_server.smart.token import Claims
from tests.trail import Trail

FHIR_JSON = "application/fhir+json"
EVERYTHING = ("system/*.cruds",)
_RECORDING = frozenset(
    {"audit", "audit_index", "writers", "tiles", "runs", "checkpoints", "leases", "anchors", "grants"}
)

Mongo: TypeAlias = AsyncMongoClient[Json]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token (or none), who speaks FHIR over HTTP."""

    http: AsyncClient
    headers: Mapping[str, str] = field(repr=False)

    async def get(self, path: str, **headers: str) -> Response:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: Json | bytes | str = b"", **headers: str) -> Response:
        return await self.ask("POST", path, body, **headers)

    async def put(self, path: str, body: Json | bytes | str, **headers: str) -> Response:
        return await self.ask("PUT", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> Response:
        return await self.ask("DELETE", path, **headers)

    async def ask(self, method: str, path: str, body: Json | bytes | str = b"", **headers: str) -> Response:
        """`Content_Type=…` is the header Content-Type. A body that is JSON is encoded with its digits."""
        content = json.encode(body) if isinstance(body, dict) else body
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        typed = {"Content-Type": FHIR_JSON} if content else {}
        return await self.http.request(method, path, content=content, headers={**self.headers, **typed, **given})

    async def store(self, resource: Json) -> Json:
        """Create it, under its own id where it has one; what the server made of it."""
        path = f"/fhir/{resource['resourceType']}"
        answer = await (
            self.put(f"{path}/{resource['id']}", resource) if "id" in resource else self.post(path, resource)
        )
        assert answer.status_code in {200, 201}, answer.text
        stored: Json = read(answer)
        return stored


def read(answer: Response) -> Any:
    """The body as JSON, its digits kept."""
    return json.decode(answer.content)


@dataclass(frozen=True, slots=True)
class InProcess:
    """The clinic, the way in, and a look into its database."""

    app: FastAPI
    clinic: Clinic
    http: AsyncClient
    mongo: Mongo

    @property
    def base(self) -> str:
        return f"{self.clinic.settings.base_url}/fhir"

    @property
    def database(self) -> str:
        return self.clinic.settings.database

    @property
    def trail(self) -> Trail:
        return Trail(self.clinic, self.mongo)

    def token(self, *scopes: str, client: str = "tests", lifetime: int = 3600, age: int = 0, **context: Any) -> str:
        """`context`: patient, fhir_user, role. `age`: seconds since it was issued. Each is of a grant of its own.

        Where no role is said, none limits the scopes: also those of a person, whose tokens always have one.
        """
        now = self.clinic.surface.clock.now()
        given = scopes or EVERYTHING
        grant = Grant(random_id(), client, given, client, (), now + timedelta(days=1))
        self.clinic.store.grants.add(grant, grant.until)
        context = {"role": SYSTEM, **context}
        claims = Claims(client, client, given, timedelta(seconds=lifetime), grant=grant.id, **context)
        return self.clinic.tokens.issue(claims, now - timedelta(seconds=age))[0]

    def caller(self, *scopes: str, **more: Any) -> Caller:
        return Caller(self.http, {"Authorization": f"Bearer {self.token(*scopes, **more)}"})

    @property
    def stranger(self) -> Caller:
        return Caller(self.http, {})

    async def counts(self) -> dict[str, int]:
        """How many documents each collection holds, but for the log and for grants: they grow with every look.

        Nor the keys: one is durable before its first use, so a write that fails may leave one that opens nothing.
        """
        database = self.mongo[self.database]
        names = set(await database.list_collection_names()) - _RECORDING
        return {name: await database[name].count_documents({}) for name in names}


@asynccontextmanager
async def running(mongo_uri: str, database: str, data_dir: Path, **settings: Any) -> AsyncIterator[InProcess]:
    """The application with its lifespan, on a database of its own that is dropped at the end."""
    chosen = Settings(data_dir=data_dir, mongo_uri=mongo_uri, database=database, worker_interval=0.05)
    # How loaded the machine is says nothing about what is tested: whoever tests the limit sets it.
    app = build_app(replace(chosen, **{"search_seconds": 120, **settings}))
    async with AsyncMongoClient[Json](mongo_uri) as mongo:
        async with app.router.lifespan_context(app):
            clinic: Clinic = app.state.clinic
            async with AsyncClient(transport=ASGITransport(app), base_url=chosen.base_url, timeout=60) as http:
                yield InProcess(app, clinic, http, mongo)
        for name in await mongo.list_database_names():
            if name.startswith(database):
                await mongo.drop_database(name)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel until it ends: in Python 3.11 `wait_for`, which the driver uses, can swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
