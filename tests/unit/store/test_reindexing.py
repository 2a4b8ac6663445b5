"""The index is rebuilt while others read and write: killed and taken up again, and no search ever finds too little."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from fhir_server.kernel.errors import ConflictError, ContendedError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.registry import RULES
from fhir_server.search.results import UnknownParameterError
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.layouts import MARGIN
from fhir_server.store.query_compiler import compile_query
from tests.contract.clinics import Noted, deleting, observation, patient, store_on, writing
from tests.unit.store.reindexed import (
    PATIENCE,
    Clinics,
    eye_colour,
    found,
    known_everywhere,
    opened,
    tokens_of,
    with_eyes,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def clinics(
    mongo_uri: str, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Clinics]:
    async with opened(mongo_uri, database_name, tmp_path, monkeypatch) as two:
        yield two


async def test_a_search_parameter_of_the_clinic_takes_part_after_the_index_was_rebuilt(clinics: Clinics) -> None:
    await clinics.put(with_eyes("ann", "green"), with_eyes("ben", "brown"), eye_colour())
    with pytest.raises(UnknownParameterError, match="takes part once the index was rebuilt"):
        await found(clinics.one, "Patient", eye_colour="green")
    assert await clinics.other.reindexing.is_due((await clinics.other.reindexing.wanted(())).layout)

    await clinics.reindex()
    await clinics.put(with_eyes("cid", "green"))
    await known_everywhere()

    for store in clinics.stores:
        assert await found(store, "Patient", eye_colour="green") == ["ann", "cid"]
    assert not await clinics.one.reindexing.is_due((await clinics.one.reindexing.wanted(())).layout)
    assert [each.words for each in await clinics.reindex()] == ["Everything is indexed in this way already."]


async def test_a_parameter_stays_as_it_was_until_the_index_is_rebuilt_again(clinics: Clinics) -> None:
    await clinics.put(with_eyes("ann", "green"), eye_colour())
    await clinics.reindex()

    await clinics.put(eye_colour(expression="Patient.gender"))
    assert await found(clinics.one, "Patient", eye_colour="green") == ["ann"]
    await clinics.reindex()
    assert await found(clinics.one, "Patient", eye_colour="green") == []

    stored = await clinics.one.resources.read(ResourceKey("SearchParameter", "eye-colour"))
    assert stored is not None
    await clinics.one.resources.commit([deleting(stored)])
    assert await found(clinics.one, "Patient", eye_colour="green") == []
    await clinics.reindex()
    with pytest.raises(UnknownParameterError):
        await found(clinics.one, "Patient", eye_colour="green")


async def test_a_run_that_was_killed_is_taken_up_where_it_was(clinics: Clinics) -> None:
    await clinics.fill(450)
    await clinics.put(eye_colour())
    wanted = (await clinics.one.reindexing.wanted(())).layout
    killed = clinics.one.reindexing.run(wanted, longest_write=0.1)
    async for progress in killed:
        if progress.rewritten:
            break
    assert 0 < progress.rewritten < 450
    with pytest.raises(ConflictError, match="being rebuilt already"):
        await clinics.reindex(by=clinics.other)

    clinics.clock.advance(timedelta(minutes=1))  # nobody renewed its lease
    steps = await clinics.reindex(by=clinics.other)

    assert steps[-1].rewritten == 451 - progress.rewritten
    assert await clinics.layouts_of_rows() == {clinics.other.layouts.active.number}
    assert len(await found(clinics.other, "Patient", eye_colour="brown")) == 450
    with pytest.raises(ConflictError, match="took over"):
        await anext(killed)


async def test_whoever_writes_meanwhile_is_found_at_once_and_ever_after(clinics: Clinics) -> None:
    await clinics.fill(300)
    await clinics.put(eye_colour())
    numbers, done = count(), asyncio.Event()

    async def write_and_look(store: ClinicStore, name: str) -> int:
        for number in numbers:
            resource = {**with_eyes(f"w{number}", "green"), "name": [{"family": f"Number{number}{name}"}]}
            try:
                await clinics.put(resource, by=store)
            except ContendedError:
                continue  # the engine tries again
            assert await found(store, "Patient", family=f"Number{number}{name}") == [f"w{number}"]
            if done.is_set() and number > 8:
                break
        return number

    writing = [asyncio.create_task(write_and_look(store, "ab"[at])) for at, store in enumerate(clinics.stores)]
    await clinics.reindex()
    done.set()
    await asyncio.gather(*writing)
    await known_everywhere()

    written = await found(clinics.one, "Patient", family="Number")
    assert len(written) > 4
    for store in clinics.stores:
        assert await found(store, "Patient", eye_colour="green") == written
    assert await clinics.layouts_of_rows() == {clinics.one.layouts.active.number}


async def test_a_row_made_ready_before_the_layout_changed_is_not_written_after(clinics: Clinics) -> None:
    late = await clinics.other.resources._indexing.rows([writing(with_eyes("ann", "green"))])
    await clinics.put(eye_colour())
    await clinics.reindex()
    await asyncio.sleep(2 * PATIENCE)

    with pytest.raises(ContendedError):
        await clinics.other.resources._committer.commit(late)

    assert await found(clinics.one, "Patient") == []


async def test_rows_by_other_rules_are_found_all_the_same(
    clinics: Clinics, mongo_uri: str, database_name: str, tmp_path: Path
) -> None:
    await clinics.put(patient("ann", "Chalmers"), patient("ben", "Windsor"), observation("o1", "ann"))
    tokens = await tokens_of(clinics)
    common = {store for kept in tokens.values() for store in kept} - {0}
    await clinics.database["layouts"].update_one({}, {"$set": {"active.rules": "older"}})
    type_token = clinics.one.resources._indexing.layouts.searching.token("Patient._type", "")
    assert type_token in common
    await clinics.database["resources"].update_many({"type": "Patient"}, {"$set": {"tokens": [type_token]}})

    async with store_on(mongo_uri, database_name, tmp_path, clinics.clock, patience=PATIENCE) as upgraded:
        wanted = await upgraded.reindexing.wanted(())
        assert await upgraded.reindexing.is_due(wanted.layout)
        await clinics.put(patient("cid", "Chalmers"), by=upgraded)
        for store in (upgraded, clinics.one):
            await known_everywhere()
            assert await found(store, "Patient", family="chal") == ["ann", "cid"]

        await clinics.reindex(by=upgraded)

        assert await found(upgraded, "Patient", family="chal") == ["ann", "cid"]
        assert {id: kept for id, kept in (await tokens_of(clinics)).items() if id in tokens} == tokens


async def test_who_does_not_know_the_rules_of_the_new_rows_writes_none(clinics: Clinics) -> None:
    state = await clinics.one.layouts.state()
    target = {**state["active"], "number": 7, "rules": "newer"}
    await clinics.one.layouts.change({}, {"$set": {"target": target}})
    await asyncio.sleep(2 * PATIENCE)

    with pytest.raises(UnavailableError, match="Another version of this server"):
        await clinics.put(patient("ann"))

    assert await found(clinics.one, "Patient") == []


async def test_what_is_found_by_any_part_is_looked_up_and_no_longer_when_it_was_taken_back(clinics: Clinics) -> None:
    await clinics.put(patient("ann", "Chalmers"), patient("ben", "Windsor"), patient("cid", "Alme"))
    before = await tokens_of(clinics)

    await clinics.reindex("Patient.name", "Patient.family")
    assert await found(clinics.one, "Patient", **{"family:contains": "alme"}) == ["ann", "cid"]
    registry = clinics.one.layouts.active
    assert registry.finds_inside("Patient", "family")
    assert not registry.finds_inside("Patient", "address")
    assert all(len(kept) > len(before[id]) for id, kept in (await tokens_of(clinics)).items())

    await clinics.reindex()
    assert await tokens_of(clinics) == before
    assert await found(clinics.one, "Patient", **{"family:contains": "alme"}) == ["ann", "cid"]


async def test_parts_of_a_text_and_a_parameter_of_ones_own_are_index_scans(clinics: Clinics) -> None:
    people = [with_eyes(f"p{number:02}", "brown") for number in range(60)]
    people += [{**with_eyes("ann", "green"), "name": [{"family": "Windsor"}]}]
    await clinics.put(*people, eye_colour())
    await clinics.reindex("Patient.name")

    for asked in ({"name:contains": "indso"}, {"eye-colour": "green"}):
        query = parse("Patient", list(asked.items()), Language(registry=clinics.one.layouts.active))
        compiled = compile_query(query, None, clinics.one.resources._indexing.layouts.searching)
        [filter] = compiled.filters
        find = {"find": "resources", "filter": filter, "sort": dict(compiled.sort), "hint": compiled.hint}
        explained = await clinics.database.command("explain", find, verbosity="executionStats")
        assert explained["executionStats"]["totalDocsExamined"] == 1
        assert explained["executionStats"]["totalKeysExamined"] <= 2


async def test_a_damaged_row_is_counted_and_stops_nobody(clinics: Clinics) -> None:
    await clinics.put(with_eyes("ann", "green"), with_eyes("ben", "green"), eye_colour())
    await clinics.database["resources"].update_one({"_id": "Patient/ben"}, {"$set": {"sealed": b"gone"}})

    steps = await clinics.reindex()

    assert (steps[-1].rewritten, steps[-1].damaged) == (3, 1)
    assert await clinics.layouts_of_rows() == {clinics.one.layouts.active.number}


async def test_events_of_the_log_are_indexed_anew_too(clinics: Clinics) -> None:
    await clinics.put(
        eye_colour(id="word", code="word", base=["AuditEvent"], type="string", expression="AuditEvent.outcomeDesc")
    )
    await clinics.one.audit.append([Noted("first"), Noted("second")])
    assert len(await found(clinics.one, "AuditEvent")) == 2

    await clinics.reindex()
    await clinics.one.audit.append([Noted("third")])

    for word in ("first", "second", "third"):
        assert len(await found(clinics.one, "AuditEvent", word=word)) == 1


async def test_again_rewrites_every_row(clinics: Clinics) -> None:
    await clinics.put(patient("ann"), patient("ben"))
    right = await tokens_of(clinics)
    await clinics.database["resources"].update_many({}, {"$set": {"tokens": []}})

    assert (await clinics.reindex(again=True, alone=True))[-1].rewritten == 2

    assert await tokens_of(clinics) == right


def test_rules_name_the_version_of_keywords_and_of_the_definitions() -> None:
    version, of_r4, of_ours = RULES.split("-")

    assert version.isdigit()
    assert (len(of_r4), len(of_ours)) == (12, 8)
    assert MARGIN > 0
