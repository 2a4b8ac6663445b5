"""They die at any moment, two sequencers run at once: nothing answered for is lost, nothing forks, no gap hides."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.clock import SystemClock
from fhir_server.store.connection import connect
from fhir_server.store.embedded import EmbeddedMongo
from tests.contract.clinics import store_on

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
DATABASE = "clinic"


class Processes:
    """`told`: the files to which they wrote what they answered for, or signed."""

    def __init__(self, starter: "subprocess.Popen[str]", folder: Path) -> None:
        self._starter, self._folder = starter, folder
        self._numbers = count()
        self._running: set[int] = set()
        self.told: dict[str, list[Path]] = {"record": [], "sequence": []}

    def start(self, duty: str) -> int:
        file = self._folder / f"{duty}-{next(self._numbers)}"
        self.told[duty].append(file)
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write(f"{duty} {file}\n")
        self._starter.stdin.flush()
        process = int(self._starter.stdout.readline())
        self._running.add(process)
        return process

    def lines(self, duty: str) -> list[str]:
        """Whole ones: of what was being written when it was killed nobody was told."""
        text = "".join(file.read_text() for file in self.told[duty] if file.exists())
        return [line for line in text.split("\n") if line and line != "ready"]

    def are_ready(self) -> bool:
        files = [file for some in self.told.values() for file in some]
        return all(file.exists() and file.read_text().startswith("ready") for file in files)

    def kill(self, process: int) -> None:
        self._running.discard(process)
        os.kill(process, signal.SIGKILL)

    def kill_all(self) -> None:
        for process in [*self._running]:
            self.kill(process)


@contextmanager
def processes(uri: str, database: str, folder: Path) -> Iterator[Processes]:
    command = [sys.executable, "-m", "tests.flows.log_processes", uri, database, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        running = Processes(starter, folder)
        try:
            yield running
        finally:
            running.kill_all()


async def until_busy(running: Processes, *, signed: int) -> None:
    """All are at work, and so many checkpoints more were signed."""
    before = len(running.lines("sequence"))
    async with asyncio.timeout(30):
        while not (running.are_ready() and len(running.lines("sequence")) >= before + signed):  # noqa: ASYNC110  files
            await asyncio.sleep(0.05)


@pytest.fixture
def own_mongo() -> Iterator[str]:
    """Transactions of who was killed stay open for a minute: on a mongod of others their clean-up would wait."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-") as folder, EmbeddedMongo(Path(folder)) as mongo:
        yield mongo.uri


async def test_t32_s_95_nothing_is_lost_nor_forked_whoever_is_killed(own_mongo: str, tmp_path: Path) -> None:
    async with store_on(own_mongo, DATABASE, tmp_path, SystemClock()):
        pass  # the keys are there before two make them at once
    with processes(own_mongo, DATABASE, tmp_path) as running:
        writers = [running.start("record") for _ in range(4)]
        sequencers = [running.start("sequence") for _ in range(2)]
        await until_busy(running, signed=4)
        running.kill(writers[0])
        await until_busy(running, signed=1)
        running.kill(sequencers[0])
        running.start("sequence")
        running.kill(writers[1])
        await until_busy(running, signed=4)
        running.kill_all()
        answered, signed = running.lines("record"), running.lines("sequence")

    assert len(answered) > 200
    assert len(signed) >= 9
    await assert_whole(own_mongo, DATABASE, tmp_path, answered, signed)


async def assert_whole(uri: str, database: str, folder: Path, answered: list[str], signed: list[str]) -> None:
    """Every lane ends, every event is in the one tree, and every checkpoint that was ever signed is of that tree."""
    client = connect(uri)
    try:
        # What a minute does: transactions of the dead are gone, and so is the time in which they could still wake up.
        await client.admin.command({"killAllSessions": []})
        dead = [{"$set": {"until": {"$subtract": ["$$NOW", 1000]}}}]
        await client[database]["writers"].update_many({"last": {"$exists": False}}, dead)
    finally:
        await client.close()
    async with store_on(uri, database, folder, SystemClock()) as store:
        await store.sequencer.closing.close_dead()
        while await store.sequencer.once():
            pass
        notes = [base64.b64decode(line).decode() for line in signed]
        sound = await store.verification.verify(notes)
        events = [json.decode(entry.event) async for entry in store.log.entries(sound.entries)]

    words = Counter(event["outcomeDesc"] for event in events)
    assert (sound.entries, sound.waiting) == (len(events), 0)
    assert [word for word in answered if words[word] != 1] == []
    lanes: dict[str, list[int]] = {}
    for event in events:
        writer, _, number = event["id"].partition("-")
        lanes.setdefault(writer, []).append(int(number))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in lanes.values())
    ended = [event for event in events if "ended without a word" in event["outcomeDesc"]]
    assert len(ended) >= 4
