import dataclasses
from collections.abc import Sequence

import pytest

from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.rows import KeyRow, WrapperKind, bucket, next_generation, patient
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import MARKETING, PAIR, RECORD, carry_bucket, done, keyring, take


def test_an_orphaned_patient_and_its_orphaned_keys_are_made_anew(store: FakeKeyStore, root: FakeRootKeys) -> None:
    take(store, root, RECORD, MARKETING)
    copy = FakeKeyStore(row for row in store.rows.values() if row.kind is WrapperKind.BUCKET)
    take(copy, root, RECORD, MARKETING)
    carry_bucket(store, root)
    for row in copy.rows.values():
        if row.kind is not WrapperKind.BUCKET:
            store.rows[row.name] = row  # all of p1's rows as if they had come too late

    keys = take(store, root, RECORD, MARKETING)

    assert keys == take(store, root, RECORD, MARKETING)
    assert store.rows[patient("p1").name].newest == next_generation(copy.rows[patient("p1").name].newest)
    assert {key.id for key in keys.values()}.isdisjoint(row.newest for row in copy.rows.values())


def test_a_pair_that_is_an_orphan_for_one_of_two_does_not_hinder_the_other(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    take(store, root, RECORD, (("p2",), KeyClass.RECORD))
    copy = FakeKeyStore(store.rows.values())
    orphan = take(copy, root, PAIR)[PAIR]
    done(keyring(store, root).destroy([store.rows["record/p2"].newest], "erasure"))
    store.rows["record/p1,p2"] = copy.rows["record/p1,p2"]

    done(keyring(store, root).destroy([store.rows["record/p1"].newest], "erasure"))

    assert not any(row.due for row in store.rows.values())
    assert take(store, root, PAIR)[PAIR].id != orphan.id


def test_a_row_whose_wrapper_never_was_is_not_overwritten(store: FakeKeyStore, root: FakeRootKeys) -> None:
    take(store, root)
    foreign = FakeKeyStore()
    take(foreign, root)
    store.rows["patient/p1"] = foreign.rows["patient/p1"]
    before = dict(store.rows)

    with pytest.raises(OpeningError):
        take(store, root)

    assert store.rows == before


def test_a_wrapper_that_was_in_use_is_never_taken_for_an_orphan(store: FakeKeyStore, root: FakeRootKeys) -> None:
    take(store, root)
    before = store.rows["patient/p1"]
    carry_bucket(store, root)
    store.rows["patient/p1"] = dataclasses.replace(before, stale=True)

    with pytest.raises(OpeningError):
        take(store, root)


def test_a_row_without_its_wrapper_is_refused(store: FakeKeyStore, root: FakeRootKeys) -> None:
    take(store, root)
    del store.rows["patient/p1"]

    with pytest.raises(OpeningError):
        take(store, root)


def test_a_finisher_that_was_overtaken_leaves_an_orphan_to_the_next_taker(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = take(store, root, RECORD, MARKETING)
    before, orphan = store.rows["patient/p1"], store.rows["record/p1"]
    done(keyring(store, root).destroy([keys[MARKETING].id], "withdrawal"))
    finished = store.rows["patient/p1"]
    store.rows["record/p1"] = orphan
    unfinished = dataclasses.replace(finished, wraps=before.wraps + finished.wraps)
    real, seen = store.due, [unfinished]

    async def outdated(kind: WrapperKind, most: int) -> Sequence[KeyRow]:
        return [seen.pop()] if seen and kind is WrapperKind.PATIENT else await real(kind, most)

    monkeypatch.setattr(store, "due", outdated)
    done(keyring(store, root).rekeying.finish())

    assert store.rows["patient/p1"] == finished
    assert store.rows["record/p1"] == orphan


def test_a_key_of_two_whose_second_patient_is_an_orphan_too_is_made_anew(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    take(store, root, RECORD, (("p3",), KeyClass.RECORD))
    second = next(f"q{number}" for number in range(5000) if bucket(f"q{number}") == bucket("p1"))
    pair = (("p1", second), KeyClass.RECORD)
    copy = FakeKeyStore(store.rows.values())
    orphan = take(copy, root, pair)[pair]
    done(keyring(store, root).destroy([store.rows["record/p1"].newest], "erasure"))
    store.rows |= {name: copy.rows[name] for name in (patient(second).name, f"record/p1,{second}")}

    made = take(store, root, pair)[pair]

    assert made.id != orphan.id
    assert take(store, root, pair)[pair] == made
