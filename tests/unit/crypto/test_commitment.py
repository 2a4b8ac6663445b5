"""What an entry of the log commits to: a salted hash, whose salt is made again from the key and the number."""

import hashlib
import hmac

from fhir_server.crypto.commitment import Salts, commitment
from fhir_server.crypto.derivation import derive
from fhir_server.crypto.keys import DataKey, KeyId

_ROOT = DataKey(KeyId(bytes(16)), bytes(range(32)))


def test_a_salt_is_the_hmac_of_the_number_under_a_key_of_that_writer() -> None:
    key = derive(_ROOT.secret, "audit-salt", b"writer")

    salts = Salts(_ROOT, "writer")

    for number in (1, 2, 1, 1 << 40):
        assert salts.of(number) == hmac.digest(key, number.to_bytes(8), "sha256")


def test_two_writers_have_no_salt_in_common() -> None:
    one, other = Salts(_ROOT, "one"), Salts(_ROOT, "other")

    assert {one.of(number) for number in range(9)}.isdisjoint(other.of(number) for number in range(9))


def test_who_has_event_and_salt_can_check_what_was_committed_to() -> None:
    salt = Salts(_ROOT, "writer").of(7)

    assert commitment(salt, b"event") == hashlib.sha256(salt + b"event").digest()
