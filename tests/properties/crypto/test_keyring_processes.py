"""However processes interleave and die: no key that was given out is lost, none that was destroyed comes back."""

import itertools
from collections.abc import Callable, Coroutine
from random import Random  # noqa: TID251  the type alone: hypothesis makes it, and repeats it
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.crypto.processes import DIES, REQUESTS, TO_THE_END, Move, Request, World, alone, run

SCHEDULES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=40)
REQUESTED = st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4, unique=True)
EXAMPLES = settings(max_examples=60, deadline=None)


@given(SCHEDULES, st.lists(REQUESTED, min_size=2, max_size=4))
@EXAMPLES
def test_processes_that_make_the_same_keys_end_with_one_of_each(
    schedule: list[Move], wishes: list[list[Request]]
) -> None:
    world = World()

    run([world.take(wish) for wish in wishes], schedule)

    world.check()


@given(SCHEDULES, st.lists(REQUESTED, min_size=2, max_size=4), st.integers(0, 2))
@EXAMPLES
def test_a_patient_who_is_taken_for_new_and_is_not_gets_no_second_key(
    schedule: list[Move], wishes: list[list[Request]], known: int
) -> None:
    world = World()
    alone(world.take_as_new(REQUESTS[:known]))
    gone = list(world.given)

    run([*map(world.take, wishes), *map(world.take_as_new, wishes), world.destroy(gone), world.rotate()], schedule)

    world.check()


@given(st.data(), SCHEDULES, st.lists(REQUESTED, max_size=3), st.integers(0, 1))
@EXAMPLES
def test_destroying_among_takers_and_openers_loses_nothing_and_leaves_nothing(
    data: st.DataObject, schedule: list[Move], wishes: list[list[Request]], rotating: int
) -> None:
    world = World()
    alone(world.take(REQUESTS[:4]))
    ids = sorted(world.given)
    first, second = (data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True)) for _ in range(2))

    run(
        [
            world.destroy(first),
            world.destroy(second),
            world.open(ids),
            *(world.rotate() for _ in range(rotating)),
            *(world.take(wish) for wish in wishes),
        ],
        schedule,
    )

    world.check()


@given(SCHEDULES, st.lists(REQUESTED, min_size=1, max_size=2), st.integers(0, 3))
@EXAMPLES
def test_whoever_dies_while_wrappers_are_renewed_the_next_run_finishes(
    schedule: list[Move], wishes: list[list[Request]], which: int
) -> None:
    world = World()
    alone(world.take(REQUESTS[:4]))
    gone = sorted(world.given)[which]

    run([world.destroy([gone]), world.finish(), world.finish(), *map(world.take, wishes)], schedule)
    alone(world.destroy([gone]))

    world.check()
    assert gone in {entry.key_id for entry in world.store.list}


@pytest.mark.parametrize("ends", [TO_THE_END, DIES], ids=["lives", "dies"])
@pytest.mark.parametrize("take", [World.take, World.take_as_new], ids=["looks first", "guesses"])
def test_a_key_that_is_made_while_another_is_destroyed_is_never_lost(
    take: Callable[[World, list[Request]], Coroutine[Any, Any, None]], ends: int
) -> None:
    """Every point at which the maker can be overtaken."""
    for steps in range(1, 40):
        world = World()
        alone(take(world, REQUESTS[:1]))

        run([take(world, REQUESTS[1:4]), world.destroy(list(world.given))], [(0, steps), (1, TO_THE_END), (0, ends)])

        world.check()


@pytest.mark.parametrize("ends", [TO_THE_END, DIES], ids=["lives", "dies"])
@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_key_that_another_stored_too_late_is_not_taken_as_good(late: int, ends: int) -> None:
    """A reads the wrapper, B drops it, C stores a key under it, A reads that key: at every point of A and C."""
    for before, reading in itertools.product(range(4, 16), range(1, 10)):
        world = World()
        alone(world.take(REQUESTS[1:2]))
        a, b, c = world.take(REQUESTS[:1]), world.destroy(list(world.given)), world.take(REQUESTS[:1])

        run(
            [a, b, c],
            [(2, before), (0, reading), (1, TO_THE_END), (2, late), (0, TO_THE_END), (2, ends)],
        )

        world.check()


def test_a_destroyer_that_dies_at_any_step_leaves_what_the_next_run_finishes() -> None:
    for steps in range(1, 200):
        world = World()
        alone(world.take(REQUESTS[:4]))
        gone = min(world.given)

        run([world.destroy([gone])], [(0, steps), (0, DIES)])
        alone(world.destroy([gone]))

        world.check()


def test_a_patient_that_becomes_due_while_its_bucket_is_looked_at_is_never_forgotten() -> None:
    """A second destruction at every point of the bucket's turn, however far it comes before the bucket goes on."""
    for looking, marking in itertools.product(range(1, 14), range(1, 26)):
        world = World()
        alone(world.take([REQUESTS[0], REQUESTS[2]]))
        first, second = world.given
        started = world.destroy([first])
        while not (world.store.list and not any(row.due for row in world.patients())):
            started.send(None)
        started.close()

        run([world.finish(), world.destroy([second])], [(0, looking), (1, marking), (0, TO_THE_END), (1, TO_THE_END)])

        world.check()


@given(st.randoms(use_true_random=True))
@settings(max_examples=300, deadline=None)
def test_any_mix_of_processes_loses_nothing_and_leaves_nothing(chance: Random) -> None:
    """Long schedules, which are what it takes for three to meet at the wrong moment."""
    world = World()
    alone(world.take(REQUESTS[: chance.randint(1, 5)]))
    ids = list(world.given)
    kinds: list[Callable[[], Coroutine[Any, Any, None]]] = [
        lambda: world.destroy(chance.sample(ids, chance.randint(1, min(2, len(ids))))),
        lambda: world.take(chance.sample(REQUESTS, chance.randint(1, 3))),
        lambda: world.open(ids),
        world.finish,
        world.rotate,
    ]
    processes = [chance.choices(kinds, weights=[2, 2, 1, 2, 1])[0]() for _ in range(chance.randint(2, 6))]
    steps = chance.choice([2, 5, 20, 80])
    moves = [(chance.randrange(6), chance.randint(1, steps)) for _ in range(chance.choice([40, 300]))]
    deaths = [(chance.randrange(6), DIES) for _ in range(chance.randint(0, 2))]

    run(processes, [*moves[:20], *deaths[:1], *moves[20:], *deaths[1:]])

    world.check()
