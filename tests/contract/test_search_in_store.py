"""What every ResourceStore promises about `find`: exactly what matches, in a stable order."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.search.parse import parse
from fhir_server.search.tree import Filter, InCompartment, Mandate, Query, ValueIn
from fhir_server.search.types.reference import ReferenceAmong
from tests.contract.clinics import Opened, deleting, observation, patient, put, writing

pytestmark = pytest.mark.anyio


async def all_pages(store: ResourceStore, query: Query, size: int) -> list[str]:
    found: list[str] = []
    position: Position | None = None
    for _ in range(100):
        page = await store.find(query, position, size)
        assert len(page.matches) <= size
        found += ids(page.matches)
        position = page.position
        if position is None:
            return found
    raise AssertionError("the search never ends")


def ids(stored: Sequence[Stored]) -> list[str]:
    return [one.key.id for one in stored]


async def test_only_current_versions_are_found_by_what_they_say_now(clinic: Opened) -> None:
    await put(clinic, patient("ann", "Chalmers"), patient("ben", "Windsor"))
    await put(clinic, patient("ann", "Windsor"))

    assert await all_pages(clinic.resources, parse("Patient", [("family", "Chalmers")]), 10) == []
    assert await all_pages(clinic.resources, parse("Patient", [("family", "Windsor")]), 10) == ["ben", "ann"]


async def test_what_is_deleted_is_not_found(clinic: Opened) -> None:
    [ann] = await put(clinic, patient("ann", "Chalmers"))
    await clinic.resources.commit([deleting(ann)])

    for pairs in ([("family", "Chalmers")], [("_id", "ann")], []):
        assert await all_pages(clinic.resources, parse("Patient", pairs), 10) == []


async def test_a_mandate_is_kept_whatever_was_asked(clinic: Opened) -> None:
    await put(clinic, patient("ann"), patient("ben"), observation("o1", "ann"), observation("o2", "ben"))
    mine = Mandate(InCompartment("Patient/ann"), by="test")

    for pairs, expected in (([], ["o1"]), ([("subject", "Patient/ben")], []), ([("_id", "o1,o2")], ["o1"])):
        assert await all_pages(clinic.resources, parse("Observation", pairs).must(mine), 10) == expected


async def test_the_default_order_is_that_of_the_last_change(clinic: Opened) -> None:
    await put(clinic, patient("c"), patient("a"), patient("b"))
    await put(clinic, patient("c"))

    assert await all_pages(clinic.resources, parse("Patient", []), 2) == ["a", "b", "c"]
    newest_first = parse("Patient", [("_sort", "-_lastUpdated")])
    assert await all_pages(clinic.resources, newest_first, 2) == ["c", "b", "a"]
    assert await all_pages(clinic.resources, parse("Patient", [("_sort", "_id")]), 2) == ["a", "b", "c"]


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated", "_id"])
async def test_pages_of_any_size_are_the_whole_in_order_each_once(clinic: Opened, sort: str) -> None:
    changes = [writing(patient(f"p{number * 37 % 60:02d}", "Even" if number % 2 else "Odd")) for number in range(60)]
    for first in range(0, 60, 20):
        await clinic.resources.commit(changes[first : first + 20])
    query = parse("Patient", [("family", "Even"), ("_sort", sort)])
    whole = await all_pages(clinic.resources, query, 100)

    assert len(whole) == 30
    for size in (1, 7, 29, 30, 31):
        assert await all_pages(clinic.resources, query, size) == whole


async def test_what_is_inserted_or_changed_meanwhile_repeats_and_drops_nothing(clinic: Opened) -> None:
    await clinic.resources.commit([writing(patient(f"p{number:02d}")) for number in range(50)])
    query = parse("Patient", [("family", "Chalmers")])
    first = await clinic.resources.find(query, None, 10)

    await put(clinic, patient("new"), patient("p02"))
    gone = await clinic.resources.read(first.matches[9].key)
    assert gone is not None
    await clinic.resources.commit([deleting(gone)])

    seen, position = ids(first.matches), first.position
    while position:
        page = await clinic.resources.find(query, position, 10)
        seen, position = seen + ids(page.matches), page.position
    unchanged = {f"p{number:02d}" for number in range(50)} - {"p02"}
    assert unchanged <= set(seen)
    # Only what itself moved to the end comes again.
    assert [id for id in set(seen) if seen.count(id) > 1] == ["p02"]


async def test_a_page_says_how_many_it_looked_at(clinic: Opened) -> None:
    await clinic.resources.commit([writing(patient(f"p{number}")) for number in range(5)])

    found = await clinic.resources.find(parse("Patient", [("family", "Chalmers")]), None, 3)

    assert len(found.matches) == 3
    assert found.looked >= 3
    assert found.position is not None


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated", "_id"])
async def test_more_references_than_one_look_takes_are_found_in_one_order(clinic: Opened, sort: str) -> None:
    people = [f"p{number * 37 % 400:03d}" for number in range(400)]
    for first in range(0, 400, 100):
        await clinic.resources.commit([writing(observation(f"o-{id}", id)) for id in people[first : first + 100]])
    wanted = frozenset(f"Patient/{id}" for id in people if id < "p390")
    among = ValueIn("subject", (ReferenceAmong(wanted, frozenset(), ""),))
    query = replace(parse("Observation", [("_sort", sort)]), filters=(Filter(among, ("", "")),))

    found = await all_pages(clinic.resources, query, 60)

    expected = [f"o-{id}" for id in people if id < "p390"]
    assert found == (expected[::-1] if sort.startswith("-") else sorted(expected) if sort == "_id" else expected)


async def test_one_that_several_looks_bring_up_is_found_once(clinic: Opened) -> None:
    about = {**observation("o", "p000"), "focus": [{"reference": f"Patient/p{number:03d}"} for number in range(300)]}
    await put(clinic, about)
    wanted = frozenset(f"Patient/p{number:03d}" for number in range(300))
    among = ValueIn("focus", (ReferenceAmong(wanted, frozenset(), ""),))

    assert await all_pages(clinic.resources, Query("Observation", (Filter(among, ("", "")),)), 10) == ["o"]
