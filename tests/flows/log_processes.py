"""What runs in processes of its own, to be killed: one that records under load, one that sequences.

`python -m tests.flows.log_processes URI DATABASE FOLDER` takes lines `record FILE` or `sequence FILE`, starts a process
for each (a fork: it has all modules already), and tells its number. What was answered for, or signed, is in FILE by
then: a line each, written to the kernel before anything else is done.
"""

import asyncio
import base64
import os
import secrets
import signal
import sys
from pathlib import Path

from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.errors import FhirError
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import Noted, patient, store_on, writing

_AT_ONCE = 12


async def _record(store: ClinicStore, file: int) -> None:
    async def client(number: int) -> None:
        while True:
            word = secrets.token_hex(8)
            try:
                if number % 3:
                    await store.audit.append([Noted(word), Noted(f"{word} again")])
                else:
                    await store.resources.commit([writing(patient(f"p-{word}")).recording(Noted(word))])
            except FhirError:
                continue
            os.write(file, f"{word}\n".encode())

    await asyncio.gather(*(client(number) for number in range(_AT_ONCE)))


async def _sequence(store: ClinicStore, file: int) -> None:
    """Without a lease, so that two do it at once; closing lanes too."""
    rounds = 0
    while True:
        if await store.sequencer.once() and (note := await store.log.newest()):
            os.write(file, base64.b64encode(note.encode()) + b"\n")
        rounds += 1
        if rounds % 10 == 0:
            await store.sequencer.closing.close_dead()
        await asyncio.sleep(0.02)


async def _run(duty: str, uri: str, database: str, folder: str, name: str) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with store_on(uri, database, Path(folder), SystemClock()) as store:
        os.write(file, b"ready\n")
        await (_record if duty == "record" else _sequence)(store, file)


def _start(uri: str, database: str, folder: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        duty, name = line.split()
        if not (number := os.fork()):
            asyncio.run(_run(duty, uri, database, folder, name))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _start(*sys.argv[1:])
