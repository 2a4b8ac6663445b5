import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.crypto import opening, remembered
from fhir_server.crypto.errors import (
    OpeningError,
    UnknownKeyError,
    WrapperGoneError,
)
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.rows import KeyRow
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import CLINIC, MARKETING, PAIR, RECORD, done, keyring, take


def test_keys_open_by_their_ids_with_two_round_trips_a_page_and_then_none(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    keys = take(store, root, *(((f"p{number}",), KeyClass.RECORD) for number in range(40)), PAIR, CLINIC)
    ids = [key.id for key in keys.values()]
    ring, store.trips = keyring(store, root), 0

    opened = done(ring.open_keys(ids))

    assert opened == {key.id: key for key in keys.values()}
    assert store.trips == 2
    assert done(ring.open_keys(ids[:3])).keys() == set(ids[:3])
    assert store.trips == 2
    assert done(ring.open_keys([])) == {}


def test_another_key_of_a_known_patient_opens_with_one_round_trip(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING)
    ring = keyring(store, root)
    done(ring.open_keys([keys[RECORD].id]))
    store.trips = 0

    done(ring.open_keys([keys[MARKETING].id]))

    assert store.trips == 1


def test_keys_of_patients_who_are_told_open_with_one_round_trip(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, *(((f"p{number}",), KeyClass.RECORD) for number in range(40)), PAIR, CLINIC)
    owners = {key.id: request[0] for request, key in keys.items()}
    ring, store.trips = keyring(store, root), 0

    assert done(ring.open_keys(owners.keys(), owners)) == {key.id: key for key in keys.values()}
    assert store.trips == 1


def test_whose_a_key_is_said_to_be_decides_nothing(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, (("p2",), KeyClass.RECORD))
    lies = {keys[RECORD].id: ("p2",), keys[("p2",), KeyClass.RECORD].id: ("nobody",)}

    assert done(keyring(store, root).open_keys(lies.keys(), lies)) == {key.id: key for key in keys.values()}


def test_a_bucket_that_was_renewed_since_it_was_met_is_read_again(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING)
    ring = keyring(store, root)
    done(ring.open_keys([keys[RECORD].id]))
    done(keyring(store, root).destroy([keys[MARKETING].id], "withdrawal"))
    ring._remembered.clear()

    assert done(ring.open_keys([keys[RECORD].id]))[keys[RECORD].id] == keys[RECORD]


def test_a_key_that_was_not_used_for_long_is_made_ready_again_without_a_look(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_MOST_READY", 1)
    ring = keyring(store, root)
    keys = done(ring.data_keys([RECORD, MARKETING]))
    store.trips = 0

    assert done(ring.open_keys([keys[RECORD].id, keys[MARKETING].id])) == {key.id: key for key in keys.values()}
    assert store.trips == 0


def test_a_destroyed_key_is_left_out_and_an_unknown_one_is_refused(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING)
    ring = keyring(store, root)
    done(ring.destroy([keys[MARKETING].id], "withdrawal"))

    assert done(ring.open_keys([key.id for key in keys.values()])).keys() == {keys[RECORD].id}
    for unknown in (KeyId(b"never seen before"[:16]), store.rows["patient/p1"].newest):
        with pytest.raises(UnknownKeyError):
            done(ring.open_keys([keys[RECORD].id, unknown]))


def test_a_key_that_is_carried_on_while_it_is_opened_is_read_again(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = take(store, root, RECORD, MARKETING)
    real = store.fetch
    moved: list[bool] = []

    async def overtaken(**wanted: Any) -> Sequence[KeyRow]:
        found = await real(**wanted)
        if not moved:
            moved.append(True)
            await keyring(store, root).destroy([keys[MARKETING].id], "withdrawal")
        return found

    monkeypatch.setattr(store, "fetch", overtaken)
    assert done(keyring(store, root).open_keys([keys[RECORD].id]))[keys[RECORD].id] == keys[RECORD]


def test_a_key_whose_wrapper_stays_away_does_not_open(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_ROUNDS", 2)
    key = take(store, root)[RECORD]
    del store.rows["patient/p1"]

    with pytest.raises(OpeningError):
        done(keyring(store, root).open_keys([key.id]))


def test_wraps_cannot_be_exchanged_between_rows(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING, (("p2",), KeyClass.RECORD), CLINIC, ((), KeyClass.AUDIT))
    good = dict(store.rows)
    swaps = [("record/p1", "marketing/p1"), ("record/p1", "record/p2"), ("clinic/", "audit/")]

    for one, other in swaps:
        store.rows = dict(good)
        exchanged = [dataclasses.replace(wrap, key=good[one].newest) for wrap in good[other].wraps]
        store.rows[one] = dataclasses.replace(good[one], wraps=tuple(exchanged))
        with pytest.raises(OpeningError):
            done(keyring(store, root).open_keys([good[one].newest]))
    store.rows = dict(good)
    assert len(done(keyring(store, root).open_keys([key.id for key in keys.values()]))) == len(keys)


@pytest.mark.parametrize("blob", [b"", b"short", bytes(60)])
def test_a_damaged_wrap_is_refused(store: FakeKeyStore, root: FakeRootKeys, blob: bytes) -> None:
    key = take(store, root)[RECORD]
    row = store.rows["record/p1"]
    store.rows["record/p1"] = dataclasses.replace(row, wraps=(dataclasses.replace(row.wraps[0], blob=blob),))

    with pytest.raises(OpeningError) as caught:
        done(keyring(store, root).open_keys([key.id]))
    assert not isinstance(caught.value, WrapperGoneError)
