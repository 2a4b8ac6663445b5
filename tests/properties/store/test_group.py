"""Which writes may share a transaction: nothing is lost, reordered per row, or larger than its limits."""

import asyncio
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.engine.change import BlobMove, Change, ConsentBasis, HeadMove, Unmoved
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store.documents import Row
from fhir_server.store.group import Unit, halves, take_group

MEGABYTE = 1024 * 1024
MOST_CHANGES, MOST_BYTES, OWN_GROUP = 200, 8 * MEGABYTE, 100
BODIES = {size: bytes(size) for size in (10, MEGABYTE, 3 * MEGABYTE, 9 * MEGABYTE)}

few = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    change = Change(ResourceKey("Patient", draw(st.text("xyz", min_size=1, max_size=3))), {"resourceType": "Patient"})
    match draw(st.integers(0, 9)):
        case 0:
            change = change.relying_on(ConsentBasis(ResourceKey("Consent", "c"), 1, draw(few), 1))
        case 1:
            change = change.only_if(Unmoved(draw(few), 1))
        case 2:
            change = change.moving_head(HeadMove(draw(few), ResourceKey("Consent", "c"), 1, in_force=True))
        case 3:
            change = change.moving_blob(BlobMove(draw(few), "live", "condemned"))
        case _:
            pass
    size = draw(st.sampled_from([10] * 12 + [MEGABYTE, 3 * MEGABYTE, 9 * MEGABYTE]))
    return Row(change, BODIES[size], (), (), [], {}, 1)


def many(count: int) -> tuple[Row, ...]:
    return tuple(
        Row(Change(ResourceKey("Observation", f"o{n}"), {}), BODIES[10], (), (), [], {}, 1) for n in range(count)
    )


BUNDLES = {count: many(count) for count in (60, 100, 101, 150, 250)}

queues = st.lists(
    st.one_of(
        st.lists(rows(), min_size=1, max_size=4).map(tuple),
        st.sampled_from([60, 100, 101, 150, 250]).map(BUNDLES.__getitem__),
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def groups_of(queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop) -> tuple[list[Unit], list[list[Unit]]]:
    units = [Unit(each, loop.create_future()) for each in queue]
    waiting, groups = deque(units), []
    while waiting:
        first = waiting[0]
        group = take_group(waiting)
        assert group[0] is first, "whoever waited longest is never passed over"
        groups.append(group)
    return units, groups


@settings(max_examples=40, deadline=None)
@given(queue=queues)
def test_every_write_is_taken_once_and_none_is_left(
    queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop
) -> None:
    units, groups = groups_of(queue, loop)

    assert sorted(id(unit) for group in groups for unit in group) == sorted(id(unit) for unit in units)


@settings(max_examples=40, deadline=None)
@given(queue=queues)
def test_no_two_writes_of_a_group_touch_one_row(queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop) -> None:
    for group in groups_of(queue, loop)[1]:
        touched = [lock for unit in group for lock in unit.locks]
        assert len(touched) == len(set(touched))


@settings(max_examples=40, deadline=None)
@given(queue=queues)
def test_writes_to_one_row_keep_their_order(queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop) -> None:
    units, groups = groups_of(queue, loop)
    place = {id(unit): (number, index) for number, group in enumerate(groups) for index, unit in enumerate(group)}

    places: dict[str, list[tuple[int, int]]] = {}
    for unit in units:
        for lock in unit.locks:
            places.setdefault(lock, []).append(place[id(unit)])
    assert all(each == sorted(each) for each in places.values())


@settings(max_examples=40, deadline=None)
@given(queue=queues)
def test_a_shared_group_keeps_its_limits_and_a_large_bundle_is_alone(
    queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop
) -> None:
    for group in groups_of(queue, loop)[1]:
        if len(group) > 1:
            assert sum(len(unit.rows) for unit in group) <= MOST_CHANGES
            assert sum(unit.size for unit in group) <= MOST_BYTES
            assert all(len(unit.rows) <= OWN_GROUP for unit in group)


@settings(max_examples=25, deadline=None)
@given(queue=queues.filter(lambda queue: len(queue) > 1))
def test_halves_are_the_whole_and_neither_is_empty(
    queue: list[tuple[Row, ...]], loop: asyncio.AbstractEventLoop
) -> None:
    units = [Unit(each, loop.create_future()) for each in queue]

    first, second = halves(units)

    assert [*first, *second] == units
    assert first
    assert second


def test_what_one_write_relies_on_another_of_its_group_does_not_move(loop: asyncio.AbstractEventLoop) -> None:
    consent = ResourceKey("Consent", "c")
    use = Change(ResourceKey("Media", "m"), {}).relying_on(ConsentBasis(consent, 1, "ann", 1))
    withdrawal = Change(consent, {}).moving_head(HeadMove("ann", consent, 2, in_force=False))
    waiting = deque(Unit((Row(one, b"", (), (), [], {}, 1),), loop.create_future()) for one in (use, withdrawal))

    assert [len(take_group(waiting)), len(take_group(waiting))] == [1, 1]
