"""What every TaskQueue promises: each task to one worker at a time, until it succeeded."""

import asyncio
from datetime import timedelta

import pytest

from fhir_server.engine.tasks import Leased, Task
from tests.contract.clinics import Opened, patient, writing

pytestmark = pytest.mark.anyio


async def queue(clinic: Opened, *patients: str) -> None:
    for id in patients:
        task = Task("reconsider-photos", id, f"Consent/{id}/_history/2")
        await clinic.resources.commit([writing(patient(id)).queueing(task)])
        clinic.clock.advance(timedelta(seconds=1))


async def leased(clinic: Opened) -> Leased:
    found = await clinic.tasks.lease()
    assert found is not None
    return found


async def test_an_empty_queue_gives_nothing(clinic: Opened) -> None:
    assert await clinic.tasks.lease() is None


async def test_tasks_come_in_the_order_in_which_they_are_due(clinic: Opened) -> None:
    await queue(clinic, "ann", "ben", "carl")

    assert [(await leased(clinic)).task.patient for _ in range(3)] == ["ann", "ben", "carl"]
    assert await clinic.tasks.lease() is None


async def test_each_task_goes_to_one_of_many_workers(clinic: Opened) -> None:
    await queue(clinic, *(f"p{number}" for number in range(10)))

    found = await asyncio.gather(*(clinic.tasks.lease() for _ in range(16)))

    assert sorted(one.task.patient for one in found if one) == sorted(f"p{number}" for number in range(10))


async def test_what_is_done_never_comes_again(clinic: Opened) -> None:
    await queue(clinic, "ann")
    await clinic.tasks.done(await leased(clinic))

    clinic.clock.advance(timedelta(days=1))

    assert await clinic.tasks.lease() is None


async def test_a_worker_that_died_loses_its_task_to_another(clinic: Opened) -> None:
    await queue(clinic, "ann")
    first = await leased(clinic)
    clinic.clock.advance(timedelta(seconds=59))
    assert await clinic.tasks.lease() is None

    clinic.clock.advance(timedelta(seconds=2))

    second = await leased(clinic)
    assert (second.id, second.task, second.attempts) == (first.id, first.task, 2)


async def test_a_postponed_task_waits_twice_as_long_each_time(clinic: Opened) -> None:
    await queue(clinic, "ann")
    task = await leased(clinic)
    waited = []
    for _ in range(5):
        await clinic.tasks.postpone(task)
        again, seconds = None, 0
        while again is None:
            again = await clinic.tasks.lease()
            if again is None:
                clinic.clock.advance(timedelta(seconds=1))
                seconds += 1
        task = again
        waited.append(seconds)

    assert waited == [1, 2, 4, 8, 16]
    assert task.attempts == 6


async def test_a_task_that_keeps_failing_waits_ten_minutes_at_most_and_is_never_dropped(clinic: Opened) -> None:
    await queue(clinic, "ann")
    for attempt in range(1, 40):
        task = await leased(clinic)
        assert task.attempts == attempt
        await clinic.tasks.postpone(task)
        clinic.clock.advance(timedelta(minutes=10))


async def test_to_finish_or_postpone_what_is_gone_is_no_fault(clinic: Opened) -> None:
    await queue(clinic, "ann")
    task = await leased(clinic)
    await clinic.tasks.done(task)

    await clinic.tasks.done(task)
    await clinic.tasks.postpone(task)

    clinic.clock.advance(timedelta(days=1))
    assert await clinic.tasks.lease() is None
