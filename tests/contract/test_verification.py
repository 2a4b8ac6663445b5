"""Whoever edits, deletes, reorders, inserts or rolls back in the database is found, and what they did is named."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server.crypto.tree import leaf_hash
from fhir_server.engine.change import HeadMove
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.signin.users import State
from fhir_server.store.lanes import entry_of
from fhir_server.store.tree_walk import BreakError
from tests.contract.clinics import Noted, deleting, patient, writing
from tests.contract.logs import Log, opened_log
from tests.contract.test_doorway import person

pytestmark = pytest.mark.anyio

CONSENT = ResourceKey("Consent", "c1")


@pytest.fixture
async def log(mongo_uri: str, empty_database: str, contract_folder: Path) -> AsyncIterator[Log]:
    """With three versions of a patient, a deleted one, a consent that moved a head row, and reads; in the tree."""
    async with opened_log(mongo_uri, empty_database, contract_folder) as opened:
        commit = opened.store.resources.commit
        previous = None
        for family in "ABC":
            [previous] = await commit([writing(patient("ann", family), previous).recording(Noted(family))])
            await opened.note(f"read {family}")
            await opened.store.sequencer.once()
        [gone] = await commit([writing(patient("ben")).recording(Noted("ben"))])
        await commit([deleting(gone).recording(Noted("ben deleted"))])
        moved = writing(patient("carl")).moving_head(HeadMove("ann", CONSENT, 1, in_force=True))
        await commit([moved.recording(Noted("consent"))])
        await opened.note(*(f"read {number}" for number in range(300)))
        await opened.store.sequencer.once()
        yield opened


async def broken(log: Log, *kept: str) -> str:
    with pytest.raises(BreakError) as found:
        await log.store.verification.verify(kept)
    return str(found.value)


async def newest(log: Log) -> str:
    note = await log.store.log.newest()
    assert note is not None
    return note


async def test_a_database_that_nobody_touched_is_sound(log: Log) -> None:
    first = await log.store.log.signed_at(2)
    assert first is not None

    sound = await log.store.verification.verify([first, await newest(log)])

    assert (sound.entries, sound.waiting) == (309, 0)
    assert sound.rows == 3 + 2 + 1 + 3


async def test_what_is_not_in_the_tree_yet_counts_too(log: Log) -> None:
    await log.note("one", "two")
    await log.store.resources.commit([writing(patient("dora")).recording(Noted("dora"))])

    sound = await log.store.verification.verify([])

    assert (sound.entries, sound.waiting) == (309, 3)


async def test_an_empty_database_is_sound(mongo_uri: str, empty_database: str, contract_folder: Path) -> None:
    async with opened_log(mongo_uri, empty_database, contract_folder) as empty:
        sound = await empty.store.verification.verify([])

    assert (sound.entries, sound.waiting, sound.rows) == (0, 0, 0)


async def place(log: Log, index: int) -> Json:
    run = await log.store.log.tree.run_at(index)
    assert run is not None
    return {"w": run.writer, "n": run.first + index - run.start}


async def edit_an_event(log: Log) -> str:
    where = await place(log, 40)
    row = await log.rows["audit"].find_one({"_id": where})
    assert row is not None
    sealed = bytes([*row["sealed"][:-1], row["sealed"][-1] ^ 1])
    await log.rows["audit"].update_one({"_id": where}, {"$set": {"sealed": sealed}})
    return f"Leaf 40, event {where['w']}-{where['n']}: it is not what was recorded."


async def edit_an_event_and_its_hash(log: Log) -> str:
    await edit_an_event(log)
    row = await log.rows["audit"].find_one({"_id": await place(log, 40)})
    tile = await log.rows["tiles"].find_one({"_id": "0/0"})
    assert row is not None
    assert tile is not None
    hashes = tile["hashes"][: 40 * 32] + leaf_hash(entry_of(row)) + tile["hashes"][41 * 32 :]
    await log.rows["tiles"].update_one({"_id": "0/0"}, {"$set": {"hashes": hashes}})
    return "The checkpoint of 309 entries that the log signed is not that of the events from leaf 6 on"


async def delete_an_event(log: Log) -> str:
    where = await place(log, 40)
    await log.rows["audit"].delete_one({"_id": where})
    return f"Leaf 40, event {where['w']}-{where['n']}: it was deleted."


async def swap_two_events(log: Log) -> str:
    one, two = await place(log, 40), await place(log, 41)
    rows = [await log.rows["audit"].find_one_and_delete({"_id": where}) for where in (one, two)]
    await log.rows["audit"].insert_many([{**(rows[0] or {}), "_id": two}, {**(rows[1] or {}), "_id": one}])
    return f"Leaf 40, event {one['w']}-{one['n']}: it is not what was recorded."


async def swap_two_runs(log: Log) -> str:
    runs = [run async for run in log.rows["runs"].find({}).sort("_id", 1)][:2]
    await log.rows["runs"].delete_many({"_id": {"$in": [run["_id"] for run in runs]}})
    await log.rows["runs"].insert_many([{**runs[1], "_id": runs[0]["_id"]}, {**runs[0], "_id": runs[1]["_id"]}])
    return "Leaf 0, event"


async def slip_an_event_in(log: Log) -> str:
    row = await log.rows["audit"].find_one({"_id": await place(log, 40)})
    await log.rows["audit"].insert_one({**(row or {}), "_id": {"w": "forged", "n": 1}})
    return "Event forged-1: it was slipped in behind the end of its lane."


async def slip_an_event_in_with_a_lane(log: Log) -> str:
    await slip_an_event_in(log)
    await log.rows["writers"].insert_one({"_id": "forged", "open": True, "sequenced": 0, "indexed": 0})
    return "Event forged-1: this server did not write it."


async def slip_an_event_in_and_have_it_signed(log: Log) -> str:
    await slip_an_event_in_with_a_lane(log)
    await log.store.sequencer.once()
    return "Leaf 309, event forged-1: this server did not write it."


async def slip_an_event_in_at_no_place(log: Log) -> str:
    await log.rows["audit"].insert_one({"_id": {"w": "forged", "n": 0}})
    return "There is an event that has no place in any lane."


async def delete_one_that_waits(log: Log) -> str:
    await log.note("a", "b", "c")
    writer = await log.writer()
    gone = await log.rows["audit"].find_one_and_delete({"_id.w": writer}, sort=[("_id", -1)], projection={"_id": 1})
    assert gone is not None
    number = gone["_id"]["n"]
    await log.rows["audit"].delete_one({"_id": {"w": writer, "n": number - 1}})
    await log.rows["audit"].insert_one({"_id": gone["_id"]})
    return f"Event {writer}-{number - 1}: it was deleted, or never was there."


async def delete_the_newest_run(log: Log) -> str:
    await log.rows["runs"].find_one_and_delete({}, sort=[("_id", -1)])
    return "it is signed for, and nothing tells its event."


async def tell_a_run_that_is_not_signed(log: Log) -> str:
    await log.note("a")
    writer = await log.writer()
    row = await log.rows["audit"].find_one({"_id.w": writer}, sort=[("_id", -1)])
    assert row is not None
    await log.rows["runs"].insert_one({"_id": 309, "w": writer, "first": row["_id"]["n"], "n": 1})
    return f"Leaf 309, event {writer}-{row['_id']['n']}: no checkpoint signs it."


async def change_a_tile(log: Log) -> str:
    await log.rows["tiles"].update_one({"_id": "1/0"}, {"$set": {"hashes": bytes(32)}})
    return "Tile 1/000 is not that of the events."


async def delete_a_checkpoint(log: Log) -> str:
    await log.rows["checkpoints"].delete_one({"_id": 2})
    return "After 2 entries a checkpoint is missing, or one is not in its place."


async def forge_a_checkpoint(log: Log) -> str:
    note = str((await log.rows["checkpoints"].find_one({"_id": 2}) or {})["note"])
    await log.rows["checkpoints"].update_one({"_id": 2}, {"$set": {"note": note.replace("\n4\n", "\n5\n")}})
    return "The checkpoint after 2 entries is not signed by this log."


async def put_an_old_row_back(log: Log) -> str:
    old = await log.rows["history"].find_one_and_delete({"_id": "Patient/ann/_history/2"})
    await log.rows["resources"].replace_one({"_id": "Patient/ann"}, {**(old or {}), "_id": "Patient/ann"})
    return "Patient/ann: an older version was put back: 2, and there was 3."


async def change_a_row(log: Log) -> str:
    await log.rows["resources"].update_one({"_id": "Patient/ann"}, {"$set": {"sealed": b"another"}})
    return "Patient/ann: it is not what was written."


async def change_an_earlier_version(log: Log) -> str:
    await log.rows["history"].update_one({"_id": "Patient/ann/_history/1"}, {"$set": {"sealed": b"another"}})
    return "Patient/ann/_history/1: it is not what was written."


async def delete_a_row(log: Log) -> str:
    await log.rows["resources"].delete_one({"_id": "Patient/carl"})
    return "version 1 of the row that it recorded is gone."


async def delete_an_earlier_version(log: Log) -> str:
    await log.rows["history"].delete_one({"_id": "Patient/ann/_history/1"})
    return "version 1 of the row that it recorded is gone."


async def slip_a_row_in(log: Log) -> str:
    row = await log.rows["resources"].find_one({"_id": "Patient/ann"})
    await log.rows["resources"].insert_one({**(row or {}), "_id": "Patient/eve", "id": "eve"})
    return "Patient/eve: no event recorded that this was written."


async def roll_a_head_back(log: Log) -> str:
    other = await log.rows["heads"].find_one({"_id": "ben"})
    await log.rows["heads"].update_one({"_id": "ann"}, {"$set": {"epoch": 1, "sealed": (other or {})["sealed"]}})
    return "Head/ann: it is not what was written."


async def delete_a_head(log: Log) -> str:
    await log.rows["heads"].delete_one({"_id": "ann"})
    return "of the row that it recorded is gone."


async def put_a_user_back(log: Log) -> str:
    users = log.store.doorway.users
    user = person()
    assert await users.add(user)
    before = await log.rows["users"].find_one({"_id": user.id})
    after = await users.replace(replace(user, state=State.DISABLED))
    assert after is not None
    assert await users.replace(user) is None
    assert (await log.store.verification.verify([])).waiting == 2
    await log.rows["users"].replace_one({"_id": user.id}, before or {})
    return f"User/{user.id}: an older version was put back: 0, and there was 1."


async def slip_a_user_in(log: Log) -> str:
    user = person()
    assert await log.store.doorway.users.add(user)
    assert not await log.store.doorway.users.add(person())
    row = await log.rows["users"].find_one({"_id": user.id})
    await log.rows["users"].insert_one({**(row or {}), "_id": "eve", "token": 1})
    return "User/eve: no event recorded that this was written."


TAMPERING = [
    *(edit_an_event, edit_an_event_and_its_hash, delete_an_event, swap_two_events, swap_two_runs),
    *(slip_an_event_in, slip_an_event_in_with_a_lane, slip_an_event_in_and_have_it_signed),
    *(slip_an_event_in_at_no_place, delete_one_that_waits, delete_the_newest_run, tell_a_run_that_is_not_signed),
    *(change_a_tile, delete_a_checkpoint, forge_a_checkpoint),
    *(put_an_old_row_back, change_a_row, change_an_earlier_version, delete_a_row, delete_an_earlier_version),
    *(slip_a_row_in, roll_a_head_back, delete_a_head, put_a_user_back, slip_a_user_in),
]


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: str(tamper.__name__))
async def test_s_94_whatever_is_done_in_the_database_is_found_and_named(
    log: Log, tamper: Callable[[Log], Awaitable[str]]
) -> None:
    expected = await tamper(log)

    assert expected in await broken(log)


async def test_a_database_that_was_rolled_back_as_a_whole_is_found_by_who_kept_a_checkpoint(log: Log) -> None:
    names = [name for name in await log.rows.list_collection_names() if not name.startswith("system.")]
    before = {name: await log.rows[name].find({}).to_list(None) for name in names}
    await log.note("to be forgotten")
    await log.store.sequencer.once()
    kept = await newest(log)
    for name, rows in before.items():
        await log.rows[name].delete_many({})
        if rows:
            await log.rows[name].insert_many(rows)

    assert (await log.store.verification.verify([])).entries == 309
    assert await broken(log, kept) == "The log was rolled back: it has 309 entries, and once had 310."


async def test_a_log_that_went_another_way_since_is_found_by_who_kept_a_checkpoint(log: Log) -> None:
    names = ["audit", "runs", "tiles", "checkpoints", "writers"]
    before = {name: await log.rows[name].find({}).to_list(None) for name in names}
    await log.note("to be forgotten")
    await log.store.sequencer.once()
    kept = await newest(log)
    for name, rows in before.items():
        await log.rows[name].delete_many({})
        await log.rows[name].insert_many(rows)
    log.store.sequencer._seen = None  # as in a process that was started since
    await log.store.resources.commit([writing(patient("other")).recording(Noted("instead"))])
    await log.store.sequencer.once()

    assert "of 310 entries that was kept elsewhere is not that of the events" in await broken(log, kept)


async def test_a_checkpoint_of_somebody_else_proves_nothing(log: Log) -> None:
    note = await newest(log)

    assert "not signed by this log" in await broken(log, note.replace("\n309\n", "\n308\n"))
