"""What was recorded comes into the tree: once, in order, without a gap, whoever dies and however many do it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.crypto import checkpoint
from fhir_server.crypto.checkpoint import Checkpoint
from fhir_server.crypto.tree import leaf_hash
from fhir_server.kernel import json
from fhir_server.store.collections import Collections
from fhir_server.store.lanes import entry_of
from fhir_server.store.lease import Lease
from fhir_server.store.row_seals import decoded, row_seal
from fhir_server.store.sequencer import BrokenLogError
from tests.contract.clinics import Noted, patient, writing
from tests.contract.logs import Log, opened_log
from tests.contract.test_doorway import person
from tests.unit.crypto.test_tree import slow_root

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(mongo_uri: str, empty_database: str, contract_folder: Path) -> AsyncIterator[Log]:
    async with opened_log(mongo_uri, empty_database, contract_folder) as opened:
        yield opened


async def newest(log: Log) -> Checkpoint:
    note = await log.store.log.newest()
    assert note is not None
    return checkpoint.opened(note, log.store.sequencer.key)


async def assert_sound(log: Log) -> None:
    """The root is that of the stored events in the order that the runs tell; sizes follow one another."""
    leaves: list[bytes] = []
    async for run in log.rows["runs"].find({}).sort("_id", 1):
        assert run["_id"] == len(leaves)
        rows = [row async for row in log.rows["audit"].find({"_id.w": run["w"]}).sort("_id", 1)]
        leaves += [leaf_hash(entry_of(row)) for row in rows[run["first"] - 1 : run["first"] - 1 + run["n"]]]
    last = await newest(log)
    assert (last.size, last.root) == (len(leaves), slow_root(leaves))
    size = 0
    async for row in log.rows["checkpoints"].find({}).sort("_id", 1):
        assert row["_id"] == size
        size = row["size"]
    assert size == len(leaves)
    assert len(leaves) == await log.rows["audit"].count_documents({})


async def test_events_of_reads_and_of_writes_come_into_the_tree(log: Log) -> None:
    await log.note("a", "b")
    await log.store.resources.commit([writing(patient("ann")).recording(Noted("written"))])

    assert await log.store.sequencer.once() == 3
    await log.note("c")
    assert await log.store.sequencer.once() == 1
    assert await log.store.sequencer.once() == 0

    await assert_sound(log)
    assert (await newest(log)).more[0].startswith("destroyed-keys ")


async def test_an_event_knows_its_leaf_and_opens_to_what_it_commits_to(log: Log) -> None:
    await log.note(*(f"event {number}" for number in range(300)))
    writer = await log.writer()
    assert await log.store.log.entry(f"{writer}-1") is None
    await log.store.sequencer.once()

    entry = await log.store.log.entry(f"{writer}-280")

    assert entry is not None
    assert entry.index == 279
    assert json.decode(entry.event)["outcomeDesc"] == "event 279"
    assert [one.index async for one in log.store.log.entries(300)] == list(range(300))
    assert await log.store.log.entry(f"{writer}-301") is None
    assert await log.store.log.entry("nobody-1") is None
    assert await log.store.log.entry("no-number") is None


async def test_two_at_once_do_not_fork(log: Log, mongo_uri: str, empty_database: str, contract_folder: Path) -> None:
    async with opened_log(mongo_uri, empty_database, contract_folder) as other:
        for number in range(12):
            await asyncio.gather(log.note(f"a{number}", f"b{number}"), other.note(f"c{number}"))
            await asyncio.gather(log.store.sequencer.once(), other.store.sequencer.once())

        await log.store.sequencer.once()

    await assert_sound(log)


async def test_what_a_killed_sequencer_began_is_finished_by_the_next(log: Log) -> None:
    await log.note(*(f"a{number}" for number in range(300)))
    await log.store.sequencer.once()
    before = {name: await log.rows[name].find({}).to_list(None) for name in ("tiles", "runs", "writers")}
    await log.note("b")
    await log.store.sequencer.once()
    [done] = await log.rows["checkpoints"].find({"_id": 300}).to_list(None)
    [run] = await log.rows["runs"].find({"_id": 300}).to_list(None)
    tiles = [[tile["_id"], tile["hashes"]] async for tile in log.rows["tiles"].find({"_id": {"$ne": "0/0"}})]
    for name, rows in before.items():
        await log.rows[name].delete_many({})
        await log.rows[name].insert_many(rows)
    begun = {"runs": [[300, run["w"], run["first"], run["n"]]], "tiles": tiles}
    await log.rows["checkpoints"].update_one({"_id": 300}, {"$set": begun})
    assert (await newest(log)).size == 300

    assert (await log.store.verification.verify([])).entries == 301
    await log.note("c")
    await log.store.sequencer.once()

    await assert_sound(log)
    assert "runs" not in done


async def test_a_missing_number_is_never_passed_over(log: Log) -> None:
    await log.note("a", "b", "c", "d")
    gone = await log.rows["audit"].find_one_and_delete({"_id.n": 3})
    assert gone is not None

    assert await log.store.sequencer.once() == 2
    assert await log.store.sequencer.once() == 0
    await log.rows["audit"].insert_one(gone)
    assert await log.store.sequencer.once() == 2

    await assert_sound(log)


async def thought_dead(log: Log) -> None:
    await log.rows["writers"].update_many({}, [{"$set": {"until": {"$subtract": ["$$NOW", 1000]}}}])


async def test_the_lane_of_a_killed_writer_is_closed_by_an_event(log: Log) -> None:
    await log.note("a", "b")
    writer = await log.writer()
    await thought_dead(log)

    assert await log.store.sequencer.closing.close_dead() == 1
    assert await log.store.sequencer.closing.close_dead() == 0
    assert await log.store.sequencer.once() == 3

    await assert_sound(log)
    row = await log.rows["writers"].find_one({"_id": writer})
    assert row is not None
    assert row["last"] == 3
    entry = await log.store.log.entry(f"{writer}-3")
    assert entry is not None
    assert json.decode(entry.event)["outcomeDesc"] == f"The writer {writer} ended without a word, after 2 events."


async def test_a_writer_that_gives_signs_of_life_is_left_alone(log: Log) -> None:
    await log.note("a")

    assert await log.store.sequencer.closing.close_dead() == 0


async def test_a_writer_that_wakes_up_collides_with_its_end_and_goes_on_in_another_lane(log: Log) -> None:
    await log.note("a")
    await log.store.resources.commit([writing(patient("ann")).recording(Noted("written"))])
    await thought_dead(log)
    assert await log.store.sequencer.closing.close_dead() == 2

    await log.store.resources.commit([writing(patient("ben")).recording(Noted("written later"))])
    with pytest.raises(Exception, match="audit log could not be written"):
        await log.note("b")
    await log.note("c")

    await log.store.sequencer.once()
    await assert_sound(log)
    assert await log.rows["audit"].count_documents({}) == 6
    assert len(await log.rows["audit"].distinct("_id.w")) == 4


async def test_a_user_is_written_although_the_lane_was_closed(log: Log) -> None:
    users = log.store.doorway.users
    user = person()
    assert await users.add(user)
    await thought_dead(log)
    assert await log.store.sequencer.closing.close_dead() == 1

    assert await users.replace(user) is not None

    await log.store.sequencer.once()
    await assert_sound(log)
    assert (await log.store.verification.verify([])).entries == 3


async def test_the_lane_that_lacks_a_number_is_not_closed(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    await log.note("a", "b", "c")
    await log.rows["audit"].delete_one({"_id.n": 2})
    await thought_dead(log)

    assert await log.store.sequencer.closing.close_dead() == 0
    assert "lacks its event" in caplog.text


async def test_a_log_that_became_shorter_is_not_continued(log: Log) -> None:
    await log.note("a")
    await log.store.sequencer.once()
    await log.note("b")
    await log.store.sequencer.once()
    await log.rows["checkpoints"].delete_one({"_id": 1})

    with pytest.raises(BrokenLogError, match="it had 2 entries, and has 1"):
        await log.store.sequencer.once()


async def test_tiles_that_were_changed_are_not_continued(log: Log) -> None:
    await log.note("a")
    await log.store.sequencer.once()
    await log.note("b")
    await log.rows["tiles"].update_one({"_id": "0/0"}, {"$set": {"hashes": bytes(32)}})

    with pytest.raises(BrokenLogError, match="its tiles"):
        await log.store.sequencer.once()


async def test_a_checkpoint_of_another_key_is_not_continued(log: Log) -> None:
    await log.note("a")
    await log.store.sequencer.once()
    note = str(await log.store.log.newest())
    await log.rows["checkpoints"].update_one({"_id": 0}, {"$set": {"note": note.replace("\n1\n", "\n2\n", 1)}})

    with pytest.raises(BrokenLogError, match="not signed"):
        await log.store.sequencer.once()


async def test_a_lease_has_one_holder_until_it_gives_it_up_or_falls_silent(log: Log) -> None:
    collections = Collections(log.rows.client, log.rows.name)
    one, two = Lease(collections, "test"), Lease(collections, "test")

    assert [await one.hold(), await two.hold(), await one.hold()] == [True, False, True]
    await one.release()
    assert await two.hold()
    await log.rows["leases"].update_one({"_id": "test"}, [{"$set": {"until": {"$subtract": ["$$NOW", 1]}}}])
    assert await Lease(collections, "test").hold()


async def test_running_it_keeps_the_tree_up_to_date_and_survives_a_broken_log(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    running = asyncio.create_task(log.store.sequencer.run())
    try:
        await log.note("a")
        async with asyncio.timeout(10):
            while not await log.store.log.newest():  # noqa: ASYNC110  the database tells no one
                await asyncio.sleep(0.05)
        await log.rows["checkpoints"].delete_many({})
        async with asyncio.timeout(10):
            while "not continued" not in caplog.text:  # noqa: ASYNC110  nor does the log
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await log.rows["leases"].count_documents({"_id": "sequencer"}) == 0


async def test_the_seal_of_each_row_rides_in_the_leaf_of_its_event(log: Log) -> None:
    [ann] = await log.store.resources.commit([writing(patient("ann")).recording(Noted("one"), Noted("two"))])
    await log.store.resources.commit([writing(patient("ann", "B"), ann).recording(Noted("three"))])
    [current] = [row async for row in log.rows["resources"].find({})]
    [earlier] = [row async for row in log.rows["history"].find({})]
    [head] = [row async for row in log.rows["heads"].find({})]

    carried = [list(decoded(row.get("carried", b""))) async for row in log.rows["audit"].find({}).sort("_id", 1)]

    assert carried == [
        [row_seal("Patient/ann", 1, earlier["sealed"]), row_seal("Head/ann", 1, head["sealed"])],
        [],
        [row_seal("Patient/ann", 2, current["sealed"])],
    ]
    with pytest.raises(ValueError, match="cut short"):
        list(decoded(b"short"))
