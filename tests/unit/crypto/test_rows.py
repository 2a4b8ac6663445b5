import secrets

from fhir_server.crypto import rows
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.rows import Wanted, WrapperKind, next_generation, root_id

ONE, OTHER = KeyId(b"1" * 16), KeyId(b"2" * 16)
PLACE = Wanted("record/a,b", KeyClass.RECORD, ("a", "b"))


def test_a_wrap_is_bound_to_everything_that_it_is_for() -> None:
    bindings = {
        PLACE.binding(0, ONE, ONE),
        PLACE.binding(1, ONE, ONE),
        PLACE.binding(0, OTHER, ONE),
        PLACE.binding(0, ONE, OTHER),
        PLACE.binding(0, ONE, root_id(1)),
        Wanted("record/a", KeyClass.RECORD, ("a", "b")).binding(0, ONE, ONE),
        Wanted("record/a,b", KeyClass.PROOF, ("a", "b")).binding(0, ONE, ONE),
    }

    assert len(bindings) == 7


def test_a_new_version_of_the_root_changes_no_binding_nor_does_a_further_generation() -> None:
    bucket = Wanted("bucket/00", WrapperKind.BUCKET)

    assert bucket.binding(0, ONE, root_id(1)) == bucket.binding(1, ONE, root_id(2))


def test_ids_are_random_and_a_generation_knows_its_place() -> None:
    first = rows.first_generation(secrets.token_bytes(16))

    assert rows.generation(first) == 1
    assert rows.generation(next_generation(first)) == 2
    assert rows.stem(next_generation(first)) == rows.stem(first)
    assert rows.is_root(root_id(7))
    assert rows.generation(root_id(7)) == 7
    assert not rows.is_root(first)
