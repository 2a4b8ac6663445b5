"""The server without the step that records reads, as a floor: `python -m benchmarks.unrecorded PORT`.

There is no switch that turns the log off, so this is the server's own wiring with that step left out; the look at a
token's grant goes with it, since it is made in the same go. The clinic is the environment's.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import uvicorn
from fastapi import FastAPI

from fhir_server.api.dispatch import Dispatch
from fhir_server.app import build_app
from fhir_server.cli.serve import calm_collector, uvicorn_runner
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.search.tree import Query
from fhir_server.settings import Settings


class Unrecorded(Step):
    """Every phase of the others but the one in which a read is recorded."""

    def __init__(self, steps: Step) -> None:
        self._steps = steps

    async def admit(self, call: Call) -> None:
        await self._steps.admit(call)

    async def narrow(self, call: Call, query: Query) -> Query:
        return await self._steps.narrow(call, query)

    async def prepare(self, call: Call, change: Change) -> Change:
        return await self._steps.prepare(call, change)

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        await self._steps.foresee(call, found)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        return await self._steps.disclose(call, stored)


def build(settings: Settings) -> FastAPI:
    app = build_app(settings)
    opening = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening(app):
            clinic: Clinic = app.state.clinic
            engine = clinic.engine
            bare = Engine(engine.store, Unrecorded(engine.steps), engine.drafts, lambda: engine.language)
            app.state.fhir = Dispatch(replace(clinic.surface, engine=bare), clinic.gateway.documents)
            yield

    app.router.lifespan_context = lifespan
    return app


async def serve(port: int) -> None:
    app = build(Settings.from_environment(os.environ))
    config = uvicorn.Config(
        app, port=port, http="httptools", ws="none", access_log=False, log_level="warning", server_header=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn offers no event to wait for
        await asyncio.sleep(0.01)
    calm_collector()
    print("ready", flush=True)
    await serving


if __name__ == "__main__":
    uvicorn_runner(lambda: serve(int(sys.argv[1])))
