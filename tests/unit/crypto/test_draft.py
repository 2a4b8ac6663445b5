"""Keys that seal before they are stored: nobody keeps what they sealed unless they came to stand."""

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import MARKETING, RECORD, Request, done, keyring, take

NEW: Request = (("fresh",), KeyClass.RECORD)


def experienced(store: FakeKeyStore, root: FakeRootKeys) -> Keyring:
    """Has seen every bucket."""
    ring = keyring(store, root)
    done(ring.data_keys([((f"p{number}",), KeyClass.RECORD) for number in range(3000, 6000)]))
    return ring


def test_keys_of_a_new_patient_are_there_before_anything_is_stored(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = experienced(store, root)
    trips, known = store.trips, set(store.rows)

    draft = done(ring.draft([NEW], new={"fresh"}))

    assert draft.keys is not None
    assert (store.trips, set(store.rows)) == (trips, known)
    assert done(ring.confirm(draft)) == draft.keys == take(store, root, NEW)
    assert set(store.rows) - known == {"patient/fresh", "record/fresh"}


def test_where_the_store_has_to_be_asked_a_draft_has_no_keys(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = experienced(store, root)

    draft = done(ring.draft([NEW, RECORD], new={"fresh"}))

    assert draft.keys is None
    assert done(ring.confirm(draft)) == take(store, root, NEW, RECORD)


def test_where_somebody_was_faster_their_key_is_the_one(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = experienced(store, root)
    draft = done(ring.draft([NEW], new={"fresh"}))
    theirs = take(store, root, NEW)

    assert done(ring.confirm(draft)) == theirs != draft.keys
    assert done(ring.data_keys([NEW])) == theirs


def test_a_key_that_came_to_nothing_is_not_remembered(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = experienced(store, root)
    draft = done(ring.draft([NEW], new={"fresh"}))

    assert done(ring.data_keys([NEW], new={"fresh"})) == take(store, root, NEW) != draft.keys


def test_what_was_destroyed_after_it_was_drafted_does_not_stand(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring, destroys = keyring(store, root), keyring(store, root)
    before = done(ring.data_keys([RECORD, MARKETING]))
    draft = done(ring.draft([RECORD, MARKETING]))
    assert draft.keys == before

    done(destroys.destroy([before[MARKETING].id], "erasure"))
    after = done(ring.confirm(draft))

    assert after[RECORD] == before[RECORD]
    assert after[MARKETING].id != before[MARKETING].id
