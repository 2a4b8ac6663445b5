import dataclasses
from collections.abc import Collection, Mapping

import pytest

from fhir_server.crypto import making
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.rows import WrapperKind
from fhir_server.kernel.errors import UnavailableError
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import CLINIC, PAIR, RECORD, done, keyring, take


def test_a_key_is_made_once_and_is_the_same_for_everyone(store: FakeKeyStore, root: FakeRootKeys) -> None:
    first, second = take(store, root), take(store, root)

    assert first == second
    assert len(first[RECORD].secret) == 32


def test_every_class_and_every_patient_has_its_own_key(store: FakeKeyStore, root: FakeRootKeys) -> None:
    requests = [(owners, key_class) for owners in (("p1",), ("p2",)) for key_class in (KeyClass.RECORD, KeyClass.PROOF)]

    keys = take(store, root, *requests)

    assert len({key.secret for key in keys.values()}) == len({key.id for key in keys.values()}) == 4


def test_no_key_lies_in_the_store_in_clear(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, PAIR, CLINIC)

    stored = repr([(wrap.key, wrap.by, wrap.blob) for row in store.rows.values() for wrap in row.wraps])
    assert all(repr(key.secret)[2:-1] not in stored for key in keys.values())


def test_many_new_keys_take_three_round_trips_and_remembered_ones_none(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    requests = [((f"p{number}",), key_class) for number in range(50) for key_class in (KeyClass.RECORD, KeyClass.PROOF)]

    done(ring.data_keys(requests))
    assert store.trips == 3
    done(ring.data_keys(requests))
    assert store.trips == 3
    done(keyring(store, root).data_keys(requests))
    assert store.trips == 5


def test_keys_of_new_patients_take_two_round_trips_where_their_buckets_were_seen_before(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    ring = keyring(store, root)
    patients = [f"p{number}" for number in range(3000)]
    done(ring.data_keys([((one,), KeyClass.RECORD) for one in patients]))
    trips = store.trips

    made = done(ring.data_keys([(("fresh",), KeyClass.RECORD), (("fresh",), KeyClass.PROOF)], new={"fresh"}))

    assert store.trips == trips + 2
    assert take(store, root, (("fresh",), KeyClass.RECORD)).items() <= made.items()


def test_a_patient_taken_for_new_who_has_keys_keeps_them(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    had = take(store, root, RECORD)
    done(ring.data_keys([((f"p{number}",), KeyClass.RECORD) for number in range(3000, 6000)]))

    assert done(ring.data_keys([RECORD], new={"p1"})) == had


def test_the_order_of_two_patients_makes_no_other_key(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, PAIR, (("p2", "p1"), KeyClass.RECORD))

    assert len(keys) == 2
    assert len({key.id for key in keys.values()}) == 1


def test_a_key_of_two_patients_opens_through_either(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, PAIR, (("p2",), KeyClass.RECORD))
    second_remembered = keyring(store, root)
    done(second_remembered.open_keys([store.rows["record/p2"].newest]))
    rows_of = dict(store.rows)

    for ring, gone in ((keyring(store, root), "patient/p2"), (second_remembered, "patient/p1")):
        store.rows = {name: row for name, row in rows_of.items() if name != gone}
        assert done(ring.open_keys([keys[PAIR].id])) == {keys[PAIR].id: keys[PAIR]}


def test_wrapping_keys_are_stored_before_what_they_wrap(store: FakeKeyStore, root: FakeRootKeys) -> None:
    take(store, root, RECORD, PAIR)
    kinds = [row.kind for row in store.ever]

    assert kinds == sorted(kinds, key=[WrapperKind.BUCKET, WrapperKind.PATIENT, KeyClass.RECORD].index)


def test_what_no_patient_id_is_owns_no_key(store: FakeKeyStore, root: FakeRootKeys) -> None:
    for owner in ("", "a/b", "a,b", "x" * 65):
        with pytest.raises(ValueError, match="FHIR id"):
            take(store, root, ((owner,), KeyClass.RECORD))


def test_keys_that_others_change_all_the_time_are_unavailable(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_ROUNDS", 3)
    real = store.revisions

    async def restless(names: Collection[str]) -> Mapping[str, int]:
        for name, row in store.rows.items():
            store.rows[name] = dataclasses.replace(row, revision=row.revision + 1)
        return await real(names)

    monkeypatch.setattr(store, "revisions", restless)
    with pytest.raises(UnavailableError):
        take(store, root)


def test_a_row_made_anew_is_not_taken_for_the_destroyed_one_of_its_name(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    before = take(store, root)[RECORD]
    old_row = store.rows["record/p1"]
    done(keyring(store, root).destroy([before.id], "erasure"))
    after = take(store, root)[RECORD]

    late = dataclasses.replace(old_row, revision=old_row.revision + 1)
    assert done(store.replace([late])) == {late.name}
    assert take(store, root)[RECORD] == after != before
