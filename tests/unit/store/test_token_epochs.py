"""Search tokens move from one key to the next while others read and write, and the old key is destroyed at the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.engine.change import Condition
from fhir_server.kernel.errors import ConflictError, ContendedError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.layout import layout_of
from tests.contract.clinics import Noted, deleting, observation, patient, writing
from tests.unit.store.reindexed import Clinics, eye_colour, found, known_everywhere, opened, tokens_of, with_eyes

pytestmark = pytest.mark.anyio


@pytest.fixture
async def clinics(
    mongo_uri: str, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Clinics]:
    async with opened(mongo_uri, database_name, tmp_path, monkeypatch) as two:
        yield two


async def key_of(clinics: Clinics, epoch: int) -> KeyId | None:
    return await clinics.one.keyring.known_named(f"tokens/{epoch}", KeyClass.TOKEN)


async def epochs(clinics: Clinics) -> tuple[int, ...]:
    return layout_of((await clinics.one.layouts.state())["active"]).epochs


async def conditional(store: ClinicStore, id: str, value: str) -> None:
    resource = {**patient(id), "identifier": [{"value": value}]}
    query = parse("Patient", [("identifier", value)], Language(registry=store.layouts.active))
    await store.resources.commit([writing(resource)._replace(condition=Condition(query, frozenset()))])


async def test_a_new_key_makes_every_token_anew_and_the_old_key_is_destroyed(clinics: Clinics) -> None:
    await clinics.put(patient("ann", "Chalmers"), patient("ben", "Windsor"), observation("o1", "ann"))
    await clinics.one.audit.append([Noted("first")])
    assert len(await found(clinics.other, "AuditEvent")) == 1
    before, old = dict(await tokens_of(clinics)), await key_of(clinics, 1)
    gone = await clinics.one.resources.read(ResourceKey("Patient", "ben"))
    assert gone is not None
    await clinics.one.resources.commit([deleting(gone)])
    await clinics.database["locks"].insert_one({"_id": before["Patient/ann"][0]})

    steps = await clinics.reindex(new_key=True)
    await known_everywhere()

    after = dict(await tokens_of(clinics))
    assert after.keys() == before.keys()
    assert after.pop("Patient/ben") == []
    assert all(len(after[id]) == len(before[id]) and not set(after[id]) & set(before[id]) for id in after)
    for store in clinics.stores:
        assert await found(store, "Patient", family="chal") == ["ann"]
        assert await found(store, "Observation", subject="Patient/ann") == ["o1"]
        assert len(await found(store, "AuditEvent")) == 1
        assert len(await store.resources.referring(ResourceKey("Patient", "ann"), (), 10)) == 1
    assert old is not None
    assert await key_of(clinics, 1) is None
    assert [each.reason for each in (await clinics.one.keyring.destroy([old], "again")).entries] == [
        "token-epoch-ended"
    ]
    assert await epochs(clinics) == (2,)
    assert steps[-1].words == "The key of epoch 1 was destroyed."
    assert await clinics.database["locks"].count_documents({}) == 0
    assert not await clinics.one.reindexing.is_due((await clinics.one.reindexing.wanted(())).layout)

    await clinics.reindex(new_key=True)

    assert await epochs(clinics) == (3,)
    assert await found(clinics.one, "Patient", family="chal") == ["ann"]


async def test_whoever_writes_and_searches_meanwhile_misses_nothing(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With time for what is under way, as outside of tests: a search that began by the old key ends in it."""
    monkeypatch.setattr("fhir_server.store.reindexing.MARGIN", 1.5)
    await clinics.fill(250)
    await clinics.put(patient("alone", "Windsor"))
    done = asyncio.Event()

    async def write_and_look(store: ClinicStore, name: str) -> int:
        number = 0
        while not done.is_set() or number < 5:
            resource = {**with_eyes(f"{name}{number}", "green"), "name": [{"family": f"Number{number}{name}"}]}
            try:
                await clinics.put(resource, by=store)
            except ContendedError:
                continue  # the engine tries again
            assert await found(store, "Patient", family=f"Number{number}{name}") == [f"{name}{number}"]
            assert await found(store, "Patient", family="windsor") == ["alone"]
            number += 1
            await asyncio.sleep(0.05)  # leaves the processor to the others
        return number

    working = [asyncio.create_task(write_and_look(store, "ab"[at])) for at, store in enumerate(clinics.stores)]
    wanted = (await clinics.one.reindexing.wanted(())).layout
    async for _ in clinics.one.reindexing.run(wanted, new_key=True, longest_write=1.0):
        pass
    done.set()
    written = sum(await asyncio.gather(*working))
    await known_everywhere()

    for store in clinics.stores:
        assert len(await found(store, "Patient", family="number")) == written
    assert await clinics.layouts_of_rows() == {clinics.one.layouts.active.number}


async def test_a_change_of_key_that_is_killed_again_and_again_comes_to_its_end(clinics: Clinics) -> None:
    await clinics.fill(250)
    await clinics.put(eye_colour())
    killed: list[Any] = []
    stages: set[tuple[int, ...]] = set()

    for _ in range(40):
        wanted = (await clinics.one.reindexing.wanted(())).layout
        run = clinics.one.reindexing.run(wanted, new_key=not killed, longest_write=0.05)
        async for progress in run:
            if progress.rewritten or "in force" in progress.words:
                break  # nothing of it goes on, as after a kill
        else:
            break
        killed.append(run)
        stages.add(await epochs(clinics))
        clinics.clock.advance(timedelta(minutes=1))  # nobody renewed its lease
        for store in clinics.stores:
            assert len(await found(store, "Patient", family="chalmers")) == 250
        assert await clinics.one.reindexing.is_due((await clinics.one.reindexing.wanted(())).layout)
        await clinics.put({**with_eyes("late", "green"), "name": [{"family": "Late"}]})
        assert await found(clinics.other, "Patient", family="late") == ["late"]

    for run in killed:
        await run.aclose()
    assert stages >= {(1,), (1, 2), (2,)}
    assert await epochs(clinics) == (2,)
    assert await key_of(clinics, 1) is None
    assert await found(clinics.one, "Patient", eye_colour="green") == ["late"]


async def test_a_row_that_does_not_open_keeps_the_old_key_until_it_is_gone(clinics: Clinics) -> None:
    await clinics.put(patient("ann", "Chalmers"), patient("ben", "Windsor"))
    whole = await clinics.database["resources"].find_one({"_id": "Patient/ben"})
    await clinics.database["resources"].update_one({"_id": "Patient/ben"}, {"$set": {"sealed": b"gone"}})

    with pytest.raises(ConflictError, match="1 rows do not open"):
        await clinics.reindex(new_key=True)

    assert await epochs(clinics) == (1,)
    assert await key_of(clinics, 1) is not None
    assert await found(clinics.one, "Patient", family="chal") == ["ann"]

    await clinics.database["resources"].update_one({"_id": "Patient/ben"}, {"$set": {"sealed": whole["sealed"]}})
    await clinics.reindex(new_key=True)

    assert await epochs(clinics) == (2,), "what was begun is finished, and nothing begun besides"
    assert await found(clinics.one, "Patient") == ["ann", "ben"]


async def test_writers_that_know_of_the_new_key_meet_those_that_do_not(clinics: Clinics) -> None:
    """Two conditional creates of the same, by processes of which one has not looked yet: both take the old lock."""
    await conditional(clinics.other, "ann", "17")
    [before] = [lock["_id"] for lock in await clinics.database["locks"].find().to_list(None)]
    run: Any = clinics.one.reindexing.run(
        (await clinics.one.reindexing.wanted(())).layout, new_key=True, longest_write=0.05
    )
    await anext(run)
    assert clinics.one.layouts.writing.epochs == (1, 2)
    await conditional(clinics.one, "ben", "18")
    await conditional(clinics.one, "cid", "19")

    locks = {lock["_id"] for lock in await clinics.database["locks"].find().to_list(None)}

    assert len(locks) == 5, "one by the old key alone, two by both"
    [old, _] = clinics.one.layouts.locking()
    assert before in locks
    assert {old.token("Patient.identifier", value) for value in ("17", "18", "19")} < locks
    await run.aclose()
