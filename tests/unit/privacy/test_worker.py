"""The worker: a task that fails comes again, and no fault ends the worker."""

import asyncio
import logging

import pytest

from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import UnavailableError
from fhir_server.privacy.worker import Worker
from tests.fakes.clinic import FakeClinic
from tests.fakes.memory import QueuedTask

pytestmark = pytest.mark.anyio


class Handler:
    def __init__(self, failures: int = 0) -> None:
        self.done: list[str] = []
        self._failures = failures

    async def __call__(self, task: Task) -> None:
        if self._failures:
            self._failures -= 1
            raise RuntimeError(f"Chalmers {task.patient}")
        self.done.append(task.patient)


def clinic_with(*patients: str, name: str = "reconsider") -> FakeClinic:
    clinic = FakeClinic()
    for id in patients:
        clinic.memory.tasks[id] = QueuedTask(Task(name, id, f"Consent/{id}/_history/2"), clinic.clock.now())
    return clinic


async def test_a_task_is_run_once_and_done() -> None:
    clinic, handler = clinic_with("ann"), Handler()
    worker = Worker(clinic.tasks, {"reconsider": handler}, (), 0.01)

    assert await worker.once()
    assert not await worker.once()
    assert handler.done == ["ann"]
    assert clinic.memory.tasks == {}


async def test_a_handlers_fault_postpones_and_says_nothing_of_the_patient(caplog: pytest.LogCaptureFixture) -> None:
    clinic, handler = clinic_with("ann"), Handler(failures=1)
    worker = Worker(clinic.tasks, {"reconsider": handler}, (), 0.01)

    with caplog.at_level(logging.INFO):
        assert await worker.once()

    assert not await worker.once(), "not due yet"
    assert list(clinic.memory.tasks) == ["ann"]
    assert "RuntimeError" in caplog.text
    assert "Chalmers" not in caplog.text


async def test_a_task_that_nobody_knows_is_kept() -> None:
    clinic = clinic_with("ann", name="unknown")

    assert await Worker(clinic.tasks, {}, (), 0.01).once()

    assert list(clinic.memory.tasks) == ["ann"]


async def test_a_failing_task_does_not_keep_the_next_from_being_run() -> None:
    clinic, handler = clinic_with("ann", "ben"), Handler(failures=1)
    worker = Worker(clinic.tasks, {"reconsider": handler}, (), 0.01)

    assert [await worker.once() for _ in range(3)] == [True, True, False]

    assert handler.done == ["ben"]


async def test_it_goes_on_when_the_queue_or_a_chore_is_out_of_order() -> None:
    clinic, handler, chores = clinic_with("ann"), Handler(), 0

    async def chore() -> None:
        nonlocal chores
        chores += 1
        if chores == 1:
            raise UnavailableError("away")

    worker = Worker(clinic.tasks, {"reconsider": handler}, (chore,), 0.0001)
    running = asyncio.create_task(worker.run())
    while chores < 2:  # noqa: ASYNC110  the worker tells nobody
        await asyncio.sleep(0.001)
    clinic.memory.tasks["ben"] = QueuedTask(Task("reconsider", "ben", "x"), clinic.clock.now())
    while "ben" not in handler.done:  # noqa: ASYNC110  the worker tells nobody
        await asyncio.sleep(0.001)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert handler.done == ["ann", "ben"]
