"""What every ResourceStore promises about versions and commits."""

import asyncio
from decimal import Decimal

import pytest

from fhir_server.engine.change import BlobMove, Change, Condition, HeadMove, Unmoved
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.engine.window import Window
from fhir_server.kernel.errors import (
    ConditionChangedError,
    ConflictError,
    FhirError,
    StaleBasisError,
    StaleVersionError,
    VersionConflictError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import DESTROYED, LIVE, PENDING
from fhir_server.search.parse import parse
from tests.contract.clinics import Noted, Opened, deleting, observation, patient, put, without_raw, writing

pytestmark = pytest.mark.anyio

ANN = ResourceKey("Patient", "ann")


async def test_what_was_committed_is_read_back_as_it_was_returned(clinic: Opened) -> None:
    [stored] = await put(clinic, {**patient("ann"), "multipleBirthInteger": 2})

    read = await clinic.resources.read(ANN)

    assert read == stored
    assert (stored.version, stored.deleted, stored.subjects, stored.access) == (1, False, ("ann",), ("Patient/ann",))
    assert stored.resource["multipleBirthInteger"] == 2
    assert stored.resource["meta"]["versionId"] == "1"


async def test_an_unused_key_is_none(clinic: Opened) -> None:
    assert await clinic.resources.read(ANN) is None
    assert await clinic.resources.read_version(ANN, 1) is None
    assert dict(await clinic.resources.read_many([ANN])) == {}
    assert dict(await clinic.resources.read_many([])) == {}


async def test_several_are_read_at_once_and_missing_ones_left_out(clinic: Opened) -> None:
    ann, ben = await put(clinic, patient("ann"), patient("ben"))

    found = await clinic.resources.read_many([ANN, ben.key, ResourceKey("Patient", "nobody")])

    assert dict(found) == {ANN: ann, ben.key: ben}


async def test_every_version_stays_readable_as_it_was(clinic: Opened) -> None:
    versions = await put(clinic, patient("ann", "A"), patient("ann", "B"), patient("ann", "C"))

    read = [await clinic.resources.read_version(ANN, number) for number in (1, 2, 3)]

    assert read == list(versions)
    assert [one.version for one in versions] == [1, 2, 3]
    assert await clinic.resources.read_version(ANN, 4) is None
    assert await clinic.resources.read_version(ANN, 0) is None


async def test_seq_and_last_updated_rise_with_each_commit(clinic: Opened) -> None:
    versions = await put(clinic, patient("ann"), patient("ben"), patient("ann", "B"))

    seqs = [one.seq for one in versions]

    assert seqs == sorted(set(seqs))
    assert [one.last_updated for one in versions] == sorted(one.last_updated for one in versions)


async def test_a_stale_previous_is_refused_and_nothing_changes(clinic: Opened) -> None:
    [first] = await put(clinic, patient("ann", "A"))
    [second] = await put(clinic, patient("ann", "B"))

    with pytest.raises(VersionConflictError):
        await clinic.resources.commit([writing(patient("ann", "C"), first)])

    assert await clinic.resources.read(ANN) == second
    assert await clinic.resources.read_version(ANN, 3) is None


async def test_a_create_over_an_existing_resource_is_refused(clinic: Opened) -> None:
    [first] = await put(clinic, patient("ann", "A"))

    with pytest.raises(VersionConflictError):
        await clinic.resources.commit([writing(patient("ann", "B"))])

    assert await clinic.resources.read(ANN) == first


async def test_of_two_updates_on_the_same_version_exactly_one_wins(clinic: Opened) -> None:
    [first] = await put(clinic, patient("ann", "A"))

    outcomes = await asyncio.gather(
        *(clinic.resources.commit([writing(patient("ann", name), first)]) for name in "BCDE"), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in outcomes) == ["StaleVersionError"] * 3 + ["tuple"]
    current = await clinic.resources.read(ANN)
    assert current is not None
    assert current.version == 2


async def test_several_changes_are_all_written_or_none(clinic: Opened) -> None:
    [ann] = await put(clinic, patient("ann", "A"))
    await put(clinic, patient("ann", "B"))
    before = await clinic.events()
    task = Task("reconsider-photos", "ben", "Consent/1/_history/2")

    with pytest.raises(VersionConflictError):
        await clinic.resources.commit(
            [
                writing(patient("ben")).recording(Noted("ben")).queueing(task),
                writing(patient("ann", "C"), ann),
                writing(observation("o1", "ben")),
            ]
        )

    assert await clinic.resources.read(ResourceKey("Patient", "ben")) is None
    assert await clinic.resources.read(ResourceKey("Observation", "o1")) is None
    assert (await clinic.heads.heads(["ben"])).get("ben") is None
    assert await clinic.tasks.lease() is None
    assert await clinic.events() == before

    stored = await clinic.resources.commit([writing(patient("ben")), writing(observation("o1", "ben"))])
    assert [one.key.type for one in stored] == ["Patient", "Observation"]


async def test_no_changes_are_no_fault(clinic: Opened) -> None:
    assert await clinic.resources.commit([]) == ()


async def test_a_deletion_is_a_version_that_keeps_the_address_and_nothing_else(clinic: Opened) -> None:
    [first] = await put(clinic, observation("o1", "ann"))

    [gone] = await clinic.resources.commit([deleting(first)])

    assert (gone.version, gone.deleted, gone.wire, gone.resource) == (2, True, b"", {})
    assert (gone.access, gone.subjects) == (first.access, first.subjects)
    assert await clinic.resources.read(first.key) == gone
    assert await clinic.resources.read_version(first.key, 1) == first
    assert await clinic.resources.read_version(first.key, 2) == gone


async def test_what_was_deleted_can_come_back_as_the_next_version(clinic: Opened) -> None:
    [first] = await put(clinic, patient("ann", "A"))
    [gone] = await clinic.resources.commit([deleting(first)])

    [back] = await put(clinic, patient("ann", "B"))

    assert back.version == 3
    assert without_raw([v for n in (1, 2, 3) if (v := await clinic.resources.read_version(ANN, n))]) == without_raw(
        [first, gone, back]
    )


async def test_digits_and_unknown_extensions_come_back_as_they_came(clinic: Opened) -> None:
    quantity = {"value": Decimal("1.00"), "extension": [{"url": "urn:x", "valueDecimal": Decimal("0.10")}]}
    await put(clinic, {**observation("o1", "ann"), "valueQuantity": quantity})

    read = await clinic.resources.read(ResourceKey("Observation", "o1"))

    assert read is not None
    assert b'"value":1.00,' in read.wire
    assert b'"valueDecimal":0.10}' in read.wire


async def test_whom_a_provenance_is_about_is_found_through_its_target(clinic: Opened) -> None:
    await put(clinic, observation("o1", "ann"))
    provenance = {
        "resourceType": "Provenance",
        "id": "p1",
        "target": [{"reference": "Observation/o1"}, {"reference": "Observation/o2"}],
        "recorded": "2026-03-14T09:26:53Z",
        "agent": [{"who": {"display": "somebody"}}],
    }

    stored = await clinic.resources.commit([writing(observation("o2", "ben")), writing(provenance)])

    assert stored[1].subjects == ("ann", "ben")


async def test_tasks_come_with_the_commit(clinic: Opened) -> None:
    task = Task("reconsider-photos", "ann", "Consent/1/_history/2")

    await clinic.resources.commit([writing(patient("ann")).queueing(task)])

    leased = await clinic.tasks.lease()
    assert leased is not None
    assert leased.task == task


async def test_a_photo_comes_alive_with_the_commit_or_the_commit_fails(clinic: Opened) -> None:
    owner = ResourceKey("Observation", "o1")
    photo = await clinic.photos.put(b"pixels", "image/jpeg", owner, ("ann",))
    flip = writing(observation("o1", "ann")).moving_blob(BlobMove(photo.id, PENDING, LIVE))

    await clinic.resources.commit([flip])

    found = await clinic.photos.find(photo.id)
    assert found is not None
    assert found.state == LIVE
    again = writing(observation("o2", "ann")).moving_blob(BlobMove(photo.id, PENDING, LIVE))
    with pytest.raises(ConflictError):
        await clinic.resources.commit([writing(patient("ben")), again])
    assert await clinic.resources.read(ResourceKey("Observation", "o2")) is None
    assert await clinic.resources.read(ResourceKey("Patient", "ben")) is None


async def test_a_photo_that_never_was_cannot_be_moved(clinic: Opened) -> None:
    with pytest.raises(ConflictError):
        await clinic.resources.commit([writing(patient("ann")).moving_blob(BlobMove("none", LIVE, DESTROYED))])

    assert await clinic.resources.read(ANN) is None


async def test_a_change_that_insists_on_an_old_epoch_is_refused_and_nothing_written(clinic: Opened) -> None:
    await put(clinic, patient("ann"))
    consent = ResourceKey("Consent", "c1")
    await clinic.resources.commit([writing(patient("ben")).moving_head(HeadMove("ann", consent, 1, in_force=True))])

    with pytest.raises(StaleBasisError):
        await clinic.resources.commit([writing(observation("o1", "ann")).only_if(Unmoved("ann", 1))])
    assert await clinic.resources.read(ResourceKey("Observation", "o1")) is None

    [stored] = await clinic.resources.commit([writing(observation("o1", "ann")).only_if(Unmoved("ann", 2))])
    assert stored.version == 1


async def test_a_good_commit_is_not_hindered_by_bad_ones_beside_it(clinic: Opened) -> None:
    [first] = await put(clinic, patient("stale", "A"))
    await put(clinic, patient("stale", "B"))
    bad: list[Change] = [
        writing(patient("stale", "C"), first),
        writing(patient("none")).moving_blob(BlobMove("none", PENDING, LIVE)),
        writing(patient("late")).only_if(Unmoved("late", 7)),
    ]
    good = [writing(patient(f"good{number}")) for number in range(9)]
    mixed = [*good[:2], bad[0], *good[2:5], bad[1], *good[5:8], bad[2], *good[8:]]

    outcomes = await asyncio.gather(*(clinic.resources.commit([one]) for one in mixed), return_exceptions=True)

    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(one) for one in failed] == [StaleVersionError, ConflictError, StaleBasisError]
    assert all(isinstance(one, FhirError) for one in failed)
    found = await clinic.resources.read_many([one.key for one in good])
    assert len(found) == len(good)
    assert await clinic.resources.read(ResourceKey("Patient", "none")) is None
    assert await clinic.resources.read(ResourceKey("Patient", "late")) is None


async def test_a_commit_on_a_condition_depends_on_what_matches_at_that_instant(clinic: Opened) -> None:
    query = parse("Patient", [("family", "Chalmers")])
    nobody, ann = Condition(query, frozenset()), Condition(query, frozenset({ANN}))

    with pytest.raises(ConditionChangedError):
        await clinic.resources.commit([writing(patient("ben")).on_condition(ann)])
    await clinic.resources.commit([writing(patient("ann")).on_condition(nobody)])
    with pytest.raises(ConditionChangedError):
        await clinic.resources.commit([writing(patient("carl")).on_condition(nobody)])
    await clinic.resources.commit([writing(observation("o1", "ann")).on_condition(ann)])

    found = await clinic.resources.find(query, None, 10)
    assert [stored.key for stored in found.matches] == [ANN]


async def test_of_many_conditional_creates_at_once_one_creates(clinic: Opened) -> None:
    nobody = Condition(parse("Patient", [("family", "Chalmers")]), frozenset())

    outcomes = await asyncio.gather(
        *(clinic.resources.commit([writing(patient(f"p{n}")).on_condition(nobody)]) for n in range(6)),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in outcomes) == ["ConditionChangedError"] * 5 + ["tuple"]


async def test_versions_are_told_newest_first_deletions_among_them(clinic: Opened) -> None:
    [a1] = await put(clinic, patient("ann", "A"))
    [b1] = await put(clinic, patient("ben"))
    [a2] = await put(clinic, patient("ann", "B"))
    [a3] = await clinic.resources.commit([deleting(a2)])
    [o1] = await put(clinic, observation("o1", "ann"))
    everything = Window()

    async def told(types: set[str], id: str | None, window: Window, before: Position | None = None) -> list[Stored]:
        return list(await clinic.resources.versions(types, id, window, before, 10))

    assert await told({"Patient"}, "ann", everything) == [a3, a2, a1]
    assert await told({"Patient"}, None, everything) == [a3, a2, b1, a1]
    assert await told({"Patient", "Observation"}, None, everything) == [o1, a3, a2, b1, a1]
    assert await told({"Patient"}, "nobody", everything) == []
    assert list(await clinic.resources.versions({"Patient"}, None, everything, None, 2)) == [a3, a2]
    after_a2 = Position(a2.seq, f"{a2.key}/{a2.version}")
    assert await told({"Patient"}, None, everything, after_a2) == [b1, a1]
    # Those that were current at some time from the second to before the fourth change.
    assert await told({"Patient"}, None, Window(at=(b1.seq, a3.seq))) == [a2, b1, a1]
    assert await told({"Patient"}, "ann", Window(at=(a2.seq, a2.seq + 1))) == [a2]
