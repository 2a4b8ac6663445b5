import pytest

from fhir_server.crypto import rows
from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.rows import bucket, patient, root_id
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import CLINIC, MARKETING, NOW, PAIR, RECORD, done, keyring, take


def test_the_root_rotates_under_everything_it_wraps(store: FakeKeyStore, root: FakeRootKeys) -> None:
    keys = take(store, root, RECORD, CLINIC)
    ring = keyring(store, root)

    assert done(ring.rekeying.rotate_root()) == 2

    assert {wrap.by for row in store.rows.values() for wrap in row.wraps if rows.is_root(wrap.by)} == {root_id(2)}
    note = done(ring.rekeying.retire_root(1))
    assert note.destroyed_up_to == 1
    assert done(keyring(store, root).open_keys([key.id for key in keys.values()])).keys() == {
        key.id for key in keys.values()
    }


def test_a_version_of_the_root_that_is_needed_is_not_destroyed(store: FakeKeyStore, root: FakeRootKeys) -> None:
    key = take(store, root)[RECORD]
    ring = keyring(store, root)

    with pytest.raises(CryptoError):
        done(ring.rekeying.retire_root(1))
    done(root.new_version())
    with pytest.raises(CryptoError):
        done(ring.rekeying.retire_root(1))
    done(ring.rekeying.finish_root())
    done(ring.rekeying.retire_root(1))

    assert done(keyring(store, root).open_keys([key.id]))


def test_the_root_is_not_retired_while_a_destruction_is_unfinished(store: FakeKeyStore, root: FakeRootKeys) -> None:
    key = take(store, root)[RECORD]
    ring = keyring(store, root)
    done(store.destroy([key.id], [patient("p1").name, bucket("p1").name], "withdrawal", NOW))
    done(ring.rekeying.rotate_root())

    with pytest.raises(CryptoError, match="not finished"):
        done(ring.rekeying.retire_root(1))

    done(ring.rekeying.finish())
    done(ring.rekeying.rotate_root())
    done(ring.rekeying.retire_root(2))


def test_a_key_made_under_an_old_version_is_brought_under_the_newest_when_taken(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    take(store, root)
    done(root.new_version())

    take(store, root)

    assert store.rows[bucket("p1").name].wraps[0].by == root_id(2)


def test_the_status_counts_what_there_is(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    keys = done(ring.data_keys([RECORD, MARKETING, PAIR, CLINIC]))
    done(ring.destroy([keys[MARKETING].id], "withdrawal"))

    status = done(ring.status())

    assert (status.buckets, status.patients) == (len({bucket("p1"), bucket("p2")}), 2)
    assert {key_class for key_class, count in status.data_keys.items() if count} == {KeyClass.RECORD, KeyClass.CLINIC}
    assert status.data_keys[KeyClass.RECORD] == 2
    assert status.destroyed.count == 1
    assert status.destroyed == done(store.tally())
    assert not status.unfinished
    assert status.root.note


def test_a_process_that_remembers_a_bucket_from_before_goes_on_making_keys(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    """It remembers the bucket's row and not its key any more; the row stands under a root that is gone."""
    ring, other = keyring(store, root), keyring(store, root)
    [owner] = RECORD[0]
    done(ring.data_keys([RECORD]))
    neighbour = next(name for name in map("n{}".format, range(10_000)) if bucket(name) == bucket(owner))
    done(other.rekeying.rotate_root())
    done(other.rekeying.retire_root(1))
    ring.forget_all()

    made = done(ring.data_keys([((neighbour,), KeyClass.RECORD)], new={neighbour}))

    assert done(keyring(store, root).open_keys([key.id for key in made.values()]))
