"""A database that is away: whoever waits for a commit is told soon, all at once and not one after the other."""

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.store import clinic
from fhir_server.store.connection import Client, Document
from fhir_server.store.embedded import EmbeddedMongo
from tests.contract.clinics import patient, store_on, writing

pytestmark = pytest.mark.anyio

SELECTION = 0.3
WAITING = 8


def impatient(uri: str) -> Client:
    """As `connect`, but it takes the database for lost thirty times sooner."""
    return AsyncMongoClient[Document](
        uri, w="majority", journal=True, tz_aware=True, serverSelectionTimeoutMS=int(SELECTION * 1000)
    )


async def test_a_group_that_finds_no_database_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halving looks for the one bad write of a group; a lost database is the fault of none of them."""
    monkeypatch.setattr(clinic, "connect", impatient)
    with tempfile.TemporaryDirectory() as folder:
        mongo = EmbeddedMongo(Path(folder) / "mongo")
        mongo.start()
        async with store_on(mongo.uri, "outage", Path(folder), SystemClock()) as store:
            ids = [f"p{number}" for number in range(WAITING)]
            before = [(await store.resources.commit([writing(patient(id))]))[0] for id in ids]
            pid = mongo.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(
                    store.resources.commit([writing(patient(id, "Windsor"), stored)])
                    for id, stored in zip(ids, before, strict=True)
                ),
                return_exceptions=True,
            )
            spent = time.monotonic() - began

        assert [isinstance(one, UnavailableError) for one in outcomes] == [True] * WAITING
        # Six tries of the whole group, with room for a slow machine; taken apart it would be ninety.
        assert spent < 4 * 6 * SELECTION
