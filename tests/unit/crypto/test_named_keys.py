import pytest

from fhir_server.crypto.errors import (
    DestroyedKeyError,
    OpeningError,
)
from fhir_server.crypto.keys import KeyClass, PictureRequest
from fhir_server.crypto.rows import root_id
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import RECORD, done, keyring, take


def test_a_photos_key_is_its_own_and_never_remembered(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    key = done(ring.rendition_key(("p1",), "photo-1"))

    assert key.secret != done(ring.rendition_key(("p1",), "photo-2")).secret
    assert done(ring.rendition_key(("p1",), "photo-1")) == key
    assert done(ring.open_keys([key.id])) == {key.id: key}
    done(keyring(store, root).destroy([key.id], "withdrawal"))
    assert done(ring.open_keys([key.id])) == {}


def test_a_destroyed_photos_key_is_never_made_again(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    key = done(ring.rendition_key(("p1",), "photo-1"))
    done(ring.destroy([key.id], "withdrawal"))

    with pytest.raises(DestroyedKeyError):
        done(ring.rendition_key(("p1",), "photo-1"))

    assert "rendition/photo-1" not in store.rows


def test_a_photos_key_is_not_given_out_for_other_owners(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    done(ring.rendition_key(("p1",), "photo-1"))

    for owners in (("p2",), (), ("p1", "p2")):
        with pytest.raises(OpeningError):
            done(ring.rendition_key(owners, "photo-1"))


def test_a_photo_of_nobodys_has_a_key_of_the_clinics(store: FakeKeyStore, root: FakeRootKeys) -> None:
    done(keyring(store, root).rendition_key((), "portrait-1"))

    assert store.rows["rendition/portrait-1"].wraps[0].by == root_id(1)


def test_the_key_of_a_picture_is_of_one_resource_and_its_patients(store: FakeKeyStore, root: FakeRootKeys) -> None:
    ring = keyring(store, root)
    one, other = PictureRequest(("p1",), "Task/1"), PictureRequest(("p2", "p1"), "Task/1")

    keys = done(ring.data_keys([one, other, RECORD]))

    assert len({key.secret for key in keys.values()}) == 3
    assert done(ring.confirm(done(ring.draft([one])))) == {one: keys[one]}
    assert [row.name for row in done(ring.picture_keys("p2"))] == ["picture/p1,p2/Task/1"]
    with pytest.raises(ValueError, match="type and its id"):
        done(ring.data_keys([PictureRequest(("p1",), "Task/1 2")]))


def test_a_renditions_key_is_not_asked_for_by_class(store: FakeKeyStore, root: FakeRootKeys) -> None:
    with pytest.raises(ValueError, match="alone"):
        take(store, root, (("p1",), KeyClass.RENDITION))
    with pytest.raises(ValueError, match="photo id"):
        done(keyring(store, root).rendition_key(("p1",), "no/photo"))


def test_a_named_secret_is_the_same_in_every_process_and_can_be_destroyed(
    store: FakeKeyStore, root: FakeRootKeys
) -> None:
    ring = keyring(store, root)
    assert done(ring.known_named("tokens/1", KeyClass.TOKEN)) is None
    secret = done(ring.named("tokens/1", KeyClass.TOKEN))
    assert done(ring.known_named("tokens/1", KeyClass.TOKEN)) == done(ring.named_key("tokens/1", KeyClass.TOKEN)).id

    assert done(keyring(store, root).named("tokens/1", KeyClass.TOKEN)) == secret
    assert done(ring.named("tokens/2", KeyClass.TOKEN)) != secret
    assert done(ring.named("tokens/1", KeyClass.SIGNING)) != secret
    done(ring.destroy([done(ring.named_key("tokens/1", KeyClass.TOKEN)).id], "epoch over"))
    assert done(ring.named("tokens/1", KeyClass.TOKEN)) != secret


@pytest.mark.parametrize("name", ["", "a b", "x" * 121, "é"])
def test_a_secret_has_a_plain_name(store: FakeKeyStore, root: FakeRootKeys, name: str) -> None:
    with pytest.raises(ValueError, match="name of a secret"):
        done(keyring(store, root).named(name, KeyClass.TOKEN))
