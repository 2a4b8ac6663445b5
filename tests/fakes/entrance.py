"""The pages on everything in memory: a door, an engine, the authorization endpoint; and browsers that go there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.consent.law import law_of
from fhir_server.consent.signing import Office, Signing
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.privacy.desk import Desk
from fhir_server.smart.access import Access
from fhir_server.smart.signin.users import User
from fhir_server.ui.pages import PATHS, Pages
from fhir_server.ui.static_files import FILES, static
from fhir_server.ui.surface import Surface
from tests.browsing import Browser, Page
from tests.fakes.authorizations import CALLBACK, FakeAuthorizations
from tests.fakes.clinic import BASE
from tests.fakes.door import PASSWORD, FakeDoor
from tests.unit.engine.calls import SYSTEM, Running, running


@dataclass
class Entrance:
    door: FakeDoor
    engine: Running
    authorizations: FakeAuthorizations
    app: Starlette

    @asynccontextmanager
    async def browser(self, address: str = "192.0.2.7") -> AsyncIterator[Browser]:
        transport = ASGITransport(self.app, client=(address, 5))
        parts = urlsplit(self.door.base_url)
        origin = f"{parts.scheme}://{parts.netloc}"
        async with AsyncClient(transport=transport, base_url=origin) as http:
            yield Browser(http, origin, address)

    async def store(self, resource: Json) -> None:
        call = Call(Interaction.UPDATE, SYSTEM, self.door.clock.now(), resource["resourceType"], resource["id"])
        await self.engine.engine.update(call, resource)

    async def sign_in(self, browser: Browser, user: User, request: str | None = None) -> Page:
        """With password and code, to wherever it leads."""
        page = await browser.get(f"/auth/sign-in{f'?request={request}' if request else ''}")
        if page.heading == "Your sign-in":
            page = await browser.get("/auth/again")
        page = await browser.submit(page, "/sign-in", username=user.username, password=PASSWORD)
        if user.totp is None:
            return page
        self.door.clock.advance(timedelta(seconds=90))
        return await browser.submit(page, "/second-factor", code=self.door.code(user))


def entrance(
    base_url: str = "http://localhost:8000", callback: str = CALLBACK, *, patients_by_password: bool = True
) -> Entrance:
    """The client's own page is served here too, for whoever comes to it."""
    door = FakeDoor(base_url=base_url, patients_by_password=patients_by_password)
    engine = running(Access(BASE))
    authorizations = FakeAuthorizations(door.clock, callback)
    office = Office("Clinic Ü", {"display": "Clinic Ü"}, base_url, law_of("eu").pack)
    signing = Signing(engine.engine, SYSTEM, random_id, RandomBytes(), office)
    desk = Desk(engine.engine, signing, SYSTEM, door.clock)
    pages = Pages(Surface(door.open, engine.engine, authorizations, door.clock, base_url, BASE, "Clinic Ü", desk))

    async def page(request: Request) -> Response:
        return await pages.answer(request)

    async def client(request: Request) -> Response:
        return Response("<title>The app</title>", media_type="text/html")

    routes = [Route("/callback", client), *(Route(path, page, methods=["GET", "POST", "PUT"]) for path in PATHS)]
    statics = [Route(f"/auth/static/{name}", static) for name in FILES]
    return Entrance(door, engine, authorizations, Starlette(routes=[*routes, *statics]))
