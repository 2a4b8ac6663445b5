"""The server without the events of reads, as a floor: `python -m benchmarks.unrecorded PORT`.

There is no switch that turns the log off, so this is the server's own wiring with another end: nothing is drawn up,
sealed or written. That the token's grant holds and that no epoch moved is looked at all the same, for all that wait
together, since no answer may leave without it; in the server the log's queue does so. The clinic is the environment's.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI

from benchmarks.connection import BenchmarkError
from fhir_server.api.dispatch import Dispatch
from fhir_server.app import build_app
from fhir_server.cli.serve import calm_collector, uvicorn_runner
from fhir_server.clinic import Clinic
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change, LegalBasis
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.stored import Stored
from fhir_server.search.tree import Query
from fhir_server.settings import Settings
from fhir_server.store.audit_log import AuditRows
from fhir_server.store.collections import Collections
from fhir_server.store.connection import connect
from fhir_server.store.documents import Documents
from fhir_server.store.writer import Writer


class Look(NamedTuple):
    """What a read relied on."""

    bases: Collection[LegalBasis]
    grant: str

    def event(self, event_id: str, recorded: datetime) -> bytes:
        """Nothing: it is never drawn up."""
        return b""


class Looks(AuditRows):
    """The log's queue, which lets those go whose bases and grant hold, and writes nothing."""

    async def _append(self, taken: Sequence[Any]) -> None:
        ended = await self._relied_on([row for one in taken for row in one.rows])
        if ended:
            raise BenchmarkError("The token's grant does not hold.")


class Unrecorded(Step):
    """Every phase of the others; of the last, the look at what was relied on."""

    def __init__(self, steps: Step, looks: Looks) -> None:
        self._steps, self._looks = steps, looks

    async def conclude(self, call: Call, result: Result) -> None:
        await self._looks.append([Look(tuple(call.trace.bases.values()), call.principal.grant)])

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
            looks = _looks(clinic)
            bare = Engine(engine.store, Unrecorded(engine.steps, looks), engine.drafts, lambda: engine.language)
            app.state.fhir = Dispatch(replace(clinic.surface, engine=bare), clinic.gateway.documents)
            await looks.start()
            yield
            await looks.stop()

    app.router.lifespan_context = lifespan
    return app


def _looks(clinic: Clinic) -> Looks:
    settings, store = clinic.settings, clinic.store
    to = Collections(connect(settings.mongo_uri), settings.database)
    documents = Documents(settings.database, RandomBytes())
    return Looks(to, store.heads, store.grant_states, Writer(to, documents, clinic.keyring, clinic.surface.clock))


async def serve(port: int) -> None:
    app = build(Settings.from_environment(os.environ))
    config = uvicorn.Config(
        app,
        port=port,
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
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
