"""Everything that listens and asks, in one process, until it is told to stop."""

import asyncio
from contextlib import AsyncExitStack

import uvicorn

from mappers.mapping.faults import UnusableError
from mappers.runtime.acknowledging import Acknowledging
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError, SetupError
from mappers.runtime.mllp import Listener, tls_context
from mappers.runtime.polling import Poller
from mappers.runtime.settings import SourceSettings
from mappers.runtime.syncing.wiring import Steady
from mappers.runtime.web import build_app
from mappers.runtime.wiring import Runtime


def web_server(runtime: Runtime, host: str, port: int) -> uvicorn.Server:
    """Webhooks, behind a proxy that ends TLS. Their paths are secrets, so there is no access log."""
    app = build_app(runtime.hooks(), runtime.clock, runtime.feeds())
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, access_log=False, log_level="warning"))


async def serve(runtime: Runtime, web: uvicorn.Server) -> None:
    """Webhooks, MLLP where each source says, and those who send nothing asked at their pace, until `web` ends."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for source in runtime.settings.sources:
            if source.system == "hl7v2":
                await stack.enter_async_context(await listening(runtime, source))
        steadies = [(source, runtime.steady(source)) for source in runtime.settings.sources]
        steady = [
            group.create_task(_kept_up(source.name, one, source.seconds()))
            for source, one in steadies
            if one is not None
        ]
        asking = [
            group.create_task(_asking(runtime.pollers(source), source.seconds()))
            for source in runtime.settings.sources
            if runtime.pollers(source)
        ]
        await web.serve()
        for task in (*asking, *steady):
            task.cancel()


async def listening(runtime: Runtime, source: SourceSettings) -> asyncio.Server:
    listener = Listener(Acknowledging(runtime.delivery(source)).answer)
    tls = None
    if "certificate" in source.given:
        authorities = source.given.get("client_authorities")
        tls = tls_context(
            str(source.folder / source.text("certificate")),
            str(source.folder / source.text("certificate_key")),
            str(source.folder / str(authorities)) if authorities else None,
        )
    return await listener.serve(str(source.given.get("host", "127.0.0.1")), source.port(), tls)


async def _kept_up(name: str, steady: Steady, seconds: int) -> None:
    while True:
        try:
            await steady.poll()
        except (NotNowError, OvertakenError, RejectedError, SetupError, UnusableError) as error:
            print(f"{name}: {error}")  # noqa: T201  as below
        await asyncio.sleep(seconds)


async def _asking(pollers: list[Poller], seconds: int) -> None:
    """A source that cannot be reached is asked again at its next turn."""
    while True:
        for poller in pollers:
            try:
                await poller.poll()
            except (NotNowError, OvertakenError, RejectedError, SetupError, UnusableError) as error:
                print(f"{poller.delivery.source.name}: {error}")  # noqa: T201  the operator's log; no address, no patient
        await asyncio.sleep(seconds)
