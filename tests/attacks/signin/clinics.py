"""Two servers of one clinic, on one MongoDB and with nothing else in common, and people who may come in."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pymongo import AsyncMongoClient

from fhir_server.app import build_app
from fhir_server.clinic import Clinic
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.settings import Settings
from fhir_server.smart.signin.door import Door
from fhir_server.smart.signin.passwords import Effort, Passwords
from fhir_server.smart.signin.users import Password, Totp, User
from fhir_server.ui.pages import Pages
from fhir_server.ui.surface import Surface
from tests.browsing import Browser, Page
from tests.fakes.authorizations import FakeAuthorizations
from tests.fakes.clock import FakeClock
from tests.fakes.door import QUICK

PASSWORD = "correct horse battery staple"
FULL = Effort(memory=19_456, passes=2)
"""As little as the settings allow."""

SECURE = "https://clinic.example"


@dataclass
class Servers:
    clock: FakeClock
    authorizations: FakeAuthorizations
    apps: tuple[FastAPI, ...]
    mongo: AsyncMongoClient[Json]
    database: str
    origin: str

    @property
    def door(self) -> Door:
        clinic: Clinic = self.apps[0].state.clinic
        return clinic.door

    def another_door(self) -> Door:
        clinic: Clinic = self.apps[1].state.clinic
        return clinic.door

    @asynccontextmanager
    async def browser(self, server: int = 0, address: str = "192.0.2.7") -> AsyncIterator[Browser]:
        transport = ASGITransport(self.apps[server], client=(address, 5))
        async with AsyncClient(transport=transport, base_url=self.origin) as http:
            yield Browser(http, self.origin, address)

    async def person(self, *roles: str, totp: bool = True, name: str = "Ana López", effort: Effort = QUICK) -> User:
        """Somebody new, under a name that nobody had. Their first sign-in renews a hash of too little effort."""
        now = self.clock.now()
        hash = await Passwords(effort).hash(PASSWORD)
        user = User(
            random_id(),
            f"ana.{random_id()[:12]}",
            name,
            roles or ("nurse",),
            "Practitioner/ana",
            now,
            password=Password(hash, now),
            totp=Totp(pyotp.random_base32(), now, 0) if totp else None,
        )
        assert await self.door.users.add(user)
        return user

    def code(self, user: User) -> str:
        assert user.totp is not None
        return pyotp.TOTP(user.totp.secret).at(self.clock.now())

    async def sign_in(self, browser: Browser, user: User, request: str | None = None) -> Page:
        page = await browser.get(f"/auth/sign-in{f'?request={request}' if request else ''}")
        page = await browser.submit(page, "/sign-in", username=user.username, password=PASSWORD)
        self.clock.advance(timedelta(seconds=90))
        return await browser.submit(page, "/second-factor", code=self.code(user))


@asynccontextmanager
async def servers(mongo_uri: str, database: str, folder: Path, base_url: str = SECURE) -> AsyncIterator[Servers]:
    clock = FakeClock()
    authorizations = FakeAuthorizations(clock)
    secure = base_url.startswith("https:")
    settings = Settings(
        data_dir=folder,
        mongo_uri=mongo_uri,
        database=database,
        base_url=base_url,
        behind_tls_proxy=secure,
        password_memory=FULL.memory,
        password_passes=FULL.passes,
    )
    parts = urlsplit(base_url)
    async with AsyncExitStack() as stack:
        mongo = await stack.enter_async_context(AsyncMongoClient[Json](mongo_uri))
        apps = []
        for _ in range(2):
            app = build_app(settings, clock)
            await stack.enter_async_context(app.router.lifespan_context(app))
            clinic: Clinic = app.state.clinic
            surface = Surface(
                clinic.door, clinic.engine, authorizations, clock, base_url, f"{base_url}/fhir", settings.clinic_name
            )
            app.state.clinic = replace(clinic, pages=Pages(surface))
            apps.append(app)
        yield Servers(clock, authorizations, tuple(apps), mongo, database, f"{parts.scheme}://{parts.netloc}")
        for name in await mongo.list_database_names():
            if name.startswith(database):
                await mongo.drop_database(name)
