from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from fhir_server.crypto import rekeying
from fhir_server.crypto.errors import (
    OpeningError,
    ProviderError,
    UnknownKeyError,
)
from fhir_server.crypto.keys import KeyClass, KeyId, KeyRequest
from fhir_server.crypto.rows import KeyRow, WrapperKind, bucket, next_generation, patient
from fhir_server.kernel.errors import UnavailableError
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import MARKETING, NOW, PAIR, RECORD, done, keyring, standing, take


def test_m2_a_destroyed_key_is_gone_and_everything_above_it_is_new(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING, PAIR, (("p3",), KeyClass.RECORD))
    before = dict(store.rows)

    result = done(keyring(store, root).destroy([keys[MARKETING].id], "withdrawal"))

    assert [(entry.key_id, entry.reason) for entry in result.entries] == [(keys[MARKETING].id, "withdrawal")]
    assert result.entries[0].instant == NOW.replace(microsecond=589000)
    assert result.root_version == 1
    for name in (patient("p1").name, bucket("p1").name):
        assert len(store.rows[name].wraps) == 1
        assert store.rows[name].newest == next_generation(before[name].newest)
    assert store.rows["record/p1"].wraps[0].by == store.rows["patient/p1"].newest
    assert store.rows["patient/p3"].newest == before["patient/p3"].newest
    left = {key.id: key for request, key in keys.items() if request != MARKETING}
    assert done(keyring(store, root).open_keys(list(left))) == left


def test_m2_after_the_root_was_rotated_an_older_key_backup_opens_nothing_of_it(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    keys = take(store, root, RECORD, MARKETING)
    backup = FakeKeyStore(store.rows.values())
    ring = keyring(store, root)
    result = done(ring.destroy([keys[MARKETING].id], "withdrawal"))
    assert done(keyring(backup, root).open_keys([keys[MARKETING].id])), "inaccessible is not yet unrecoverable"

    done(ring.rekeying.rotate_root())
    done(ring.rekeying.retire_root(result.root_version))

    with pytest.raises(ProviderError):
        done(keyring(backup, root).open_keys([keys[MARKETING].id]))
    for name, row in backup.rows.items():
        if isinstance(row.kind, WrapperKind):
            backup.rows[name] = store.rows[name]  # the old wraps beside the newest wrappers
    with pytest.raises(OpeningError):
        done(keyring(backup, root).open_keys([keys[MARKETING].id]))
    assert done(keyring(store, root).open_keys([keys[RECORD].id])) == {keys[RECORD].id: keys[RECORD]}


def test_destroying_again_says_the_same(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, MARKETING)
    ring = keyring(store, root)
    first = done(ring.destroy([keys[MARKETING].id], "withdrawal"))

    assert done(ring.destroy([keys[MARKETING].id], "again")).entries == first.entries


def test_nothing_is_destroyed_when_one_id_is_foreign(store: FakeKeyStore, root: FakeRootKeys) -> None:
    key = take(store, root)[RECORD]

    for foreign in (KeyId(b"never seen before"[:16]), store.rows["patient/p1"].newest):
        with pytest.raises(UnknownKeyError):
            done(keyring(store, root).destroy([key.id, foreign], "mistake"))

    assert done(keyring(store, root).open_keys([key.id]))


def test_a_destroyed_class_gets_a_new_key_when_it_is_asked_for_again(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    before = done(ring.data_keys([MARKETING]))[MARKETING]
    done(ring.destroy([before.id], "withdrawal"))

    after = done(ring.data_keys([MARKETING]))[MARKETING]

    assert (after.id, after.secret) != (before.id, before.secret)


def test_what_another_process_destroyed_is_forgotten_when_told(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring, other = keyring(store, root), keyring(store, root)
    keys = done(ring.data_keys([RECORD, MARKETING]))
    done(other.destroy([keys[MARKETING].id], "withdrawal"))
    assert done(ring.open_keys([keys[MARKETING].id])), "nobody has told it yet"

    ring.forget([keys[MARKETING].id])

    assert done(ring.open_keys([keys[MARKETING].id])) == {}
    store.trips = 0
    done(ring.data_keys([RECORD]))
    assert store.trips == 0
    ring.forget_all()
    done(ring.data_keys([RECORD]))
    assert store.trips == 2


def test_a_key_that_is_destroyed_while_it_is_read_is_not_remembered(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = take(store, root, RECORD, MARKETING)
    ring = keyring(store, root)
    real = store.fetch

    async def overtaken(**wanted: Any) -> Sequence[KeyRow]:
        found = await real(**wanted)
        ring.forget([keys[MARKETING].id])
        return found

    monkeypatch.setattr(store, "fetch", overtaken)
    done(ring.open_keys([keys[MARKETING].id]))
    done(ring.data_keys([MARKETING]))
    monkeypatch.setattr(store, "fetch", real)
    del store.rows["marketing/p1"]

    with pytest.raises(UnknownKeyError):
        done(ring.open_keys([keys[MARKETING].id]))


def test_the_memory_for_keys_is_bounded(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root, most_remembered=10)

    done(ring.data_keys([((f"p{number}",), KeyClass.RECORD) for number in range(40)]))

    kept = ring._remembered
    assert len(kept._secrets) == len(kept._ids) == len(kept._ready) == len(ring._chain._wrappers) == 10


def test_more_rows_than_fit_a_page_are_carried_on(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "PAGE", 3)
    of_one_thing = {KeyClass.RENDITION, KeyClass.PICTURE}
    requests = [(("p1",), key_class) for key_class in KeyClass if key_class not in of_one_thing]
    keys = take(store, root, *requests, *(((f"q{number}",), KeyClass.RECORD) for number in range(10)))
    done(keyring(store, root).rekeying.rotate_root())

    done(keyring(store, root).destroy([key.id for (owners, _), key in keys.items() if "q" in owners[0]], "end"))

    assert not any(row.due for row in store.rows.values())
    left = [key.id for (owners, _), key in keys.items() if owners == ("p1",)]
    assert len(done(keyring(store, root).open_keys(left))) == len(requests)


def test_destroying_faster_than_it_can_be_finished_is_said(
    store: FakeKeyStore, root: FakeRootKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "_ROUNDS", 1)
    key = take(store, root)[RECORD]

    with pytest.raises(UnavailableError):
        done(keyring(store, root).destroy([key.id], "withdrawal"))

    assert done(keyring(store, root).status()).unfinished


def test_a_write_never_uses_a_key_that_another_process_destroyed(store: FakeKeyStore, root: FakeRootKeys) -> None:
    remembers, destroys = keyring(store, root), keyring(store, root)
    before = done(remembers.data_keys([RECORD, MARKETING]))

    done(destroys.destroy([before[MARKETING].id], "erasure"))
    after = done(standing(remembers, RECORD, MARKETING))

    assert after[RECORD] == before[RECORD]
    assert after[MARKETING].id != before[MARKETING].id
    assert done(destroys.data_keys([MARKETING])) == {MARKETING: after[MARKETING]}


def test_a_key_made_just_now_is_not_asked_about(store: FakeKeyStore, root: FakeRootKeys) -> None:
    """Only one that is remembered may have been destroyed meanwhile."""
    ring = keyring(store, root)
    done(ring.data_keys([PAIR]))
    trips = [store.trips]
    for work in (ring.data_keys([MARKETING]), standing(ring, RECORD), standing(ring, RECORD)):
        done(work)
        trips.append(store.trips)

    making, made, remembered = (after - before for before, after in pairwise(trips))
    assert made == making
    assert remembered == 1


def test_which_keys_there_are_is_told_without_making_any(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD)
    rows = dict(store.rows)

    known = done(keyring(store, root).known([KeyRequest(*RECORD), KeyRequest(*MARKETING)]))

    assert known == {RECORD: keys[RECORD].id}
    assert store.rows == rows
