import gzip
import hashlib
import secrets
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto import packing
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.seal import MOST_SEALED, Address, key_id_of, open_sealed, seal
from fhir_server.kernel.errors import TooLargeError
from tests.unit.crypto.keys_at_hand import KEY

EXAMPLES = Path(__file__).parents[3].parent / "shared/data/hl7-r4-examples.ndjson.gz"
NONCE = b"a nonce: 12b"
ADDRESS = Address("clinic", "Patient", "7", 3, 42, 1_773_480_413_589, ("Patient/7", "Practitioner/1"), ("7",))
PLAIN = b'{"resourceType":"Patient","id":"7","name":[{"family":"\xc3\x87elik"}]}'
SEALED = seal(PLAIN, ADDRESS.encode(), KEY, NONCE)


def test_a_seal_opens_at_its_address() -> None:
    assert open_sealed(SEALED, ADDRESS.encode(), KEY) == PLAIN


def test_r_s58_nothing_of_the_content_shows_in_the_seal() -> None:
    assert b"Patient" not in SEALED
    assert b"elik" not in SEALED


def test_the_envelope_has_its_fields_where_they_are_documented() -> None:
    assert SEALED[:2] == bytes([1, 1])
    assert SEALED[2:18] == KEY.id
    assert SEALED[18:20] == bytes([0, 1])
    assert SEALED[20] == 1
    assert SEALED[21:33] == NONCE
    assert len(SEALED) == 33 + 64 + 16


def test_the_key_is_named_in_clear() -> None:
    assert key_id_of(SEALED) == KEY.id


@pytest.mark.parametrize(
    "change",
    [
        {"clinic": "other"},
        {"type": "Person"},
        {"id": "8"},
        {"version": 4},
        {"seq": 43},
        {"last_updated": 1_773_480_413_590},
        {"access": ("Patient/7",)},
        {"access": ("Practitioner/1", "Patient/7")},
        {"access": ("Patient/7", "Practitioner/1", "7"), "subjects": ()},
        {"subjects": ("8",)},
        {"deleted": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_seal_that_was_moved_to_another_address_is_refused(change: dict[str, Any]) -> None:
    elsewhere = ADDRESS._replace(**change)

    with pytest.raises(OpeningError):
        open_sealed(SEALED, elsewhere.encode(), KEY)


@pytest.mark.parametrize("at", range(len(SEALED)))
def test_any_changed_byte_is_refused(at: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= 1

    with pytest.raises(OpeningError):
        open_sealed(bytes(changed), ADDRESS.encode(), KEY)


@pytest.mark.parametrize("length", [0, 1, 33, 48, len(SEALED) - 1])
def test_a_shortened_seal_is_refused(length: int) -> None:
    with pytest.raises(OpeningError):
        open_sealed(SEALED[:length], ADDRESS.encode(), KEY)


@pytest.mark.parametrize(
    "key",
    [
        DataKey(KeyId(b"another key id.."), KEY.secret),
        DataKey(KEY.id, b"x" * 32),
        DataKey(KEY.id, KEY.secret, version=2),
    ],
    ids=["id", "secret", "version"],
)
def test_another_key_is_refused(key: DataKey) -> None:
    with pytest.raises(OpeningError):
        open_sealed(SEALED, ADDRESS.encode(), key)


def test_the_dictionary_of_what_was_sealed_never_changes() -> None:
    assert hashlib.sha256((Path(packing.__file__).parent / "data/1.zdict").read_bytes()).hexdigest() == (
        "f337ed006bdf2d7568af0fd4a4d300277c6cbe50641113d2ce43c06fb7cea736"
    )


def test_a_seal_from_before_the_dictionary_still_opens() -> None:
    header = bytes([1, 1]) + KEY.id + bytes([0, 1, 0]) + NONCE
    squeezed = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    ).compress(PLAIN)
    packed = struct.pack(">II", len(squeezed), len(PLAIN)) + squeezed
    sealed = header + AESGCM(KEY.secret).encrypt(NONCE, packed, header + ADDRESS.encode())

    assert open_sealed(sealed, ADDRESS.encode(), KEY) == PLAIN


def test_an_unknown_dictionary_is_named_in_the_error() -> None:
    changed = SEALED[:20] + bytes([9]) + SEALED[21:]

    with pytest.raises(OpeningError, match="dictionary 9"):
        open_sealed(changed, ADDRESS.encode(), KEY)


def test_an_unknown_format_or_a_torso_names_no_key() -> None:
    for sealed in (b"\2" + SEALED[1:], SEALED[:40], b""):
        with pytest.raises(OpeningError):
            key_id_of(sealed)


def test_an_error_carries_nothing_of_content_or_key_and_no_foreign_cause() -> None:
    with pytest.raises(OpeningError) as caught:
        open_sealed(SEALED[:-1], ADDRESS.encode(), KEY)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "kkkk" not in repr(KEY)


def test_what_would_exceed_twelve_mebibytes_is_too_large() -> None:
    most = MOST_SEALED - 33 - 16 - 8
    noise = secrets.token_bytes(most)

    with pytest.raises(TooLargeError):
        seal(noise, b"", KEY, NONCE)
    fits = seal(noise[:-1000], b"", KEY, NONCE)
    assert len(fits) == MOST_SEALED
    assert open_sealed(fits, b"", KEY) == noise[:-1000]


@pytest.mark.parametrize("nonce", [b"", b"short", b"thirteen byte"])
def test_a_nonce_of_another_length_is_a_mistake(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        seal(PLAIN, b"", KEY, nonce)


@pytest.mark.parametrize(("id", "secret"), [(b"short", b"k" * 32), (b"i" * 16, b"k" * 16)])
def test_a_key_of_another_length_is_a_mistake(id: bytes, secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 secret bytes"):
        DataKey(KeyId(id), secret)


def test_threads_seal_and_open_side_by_side() -> None:
    plains = [str(number).encode() * number for number in range(200)]

    def there_and_back(plain: bytes) -> bytes:
        return open_sealed(seal(plain, b"here", KEY, secrets.token_bytes(12)), b"here", KEY)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(there_and_back, plains)) == plains


def test_real_resources_come_back_byte_for_byte() -> None:
    if not EXAMPLES.exists():
        pytest.skip("HL7's examples are not beside the repository")
    lines = gzip.decompress(EXAMPLES.read_bytes()).splitlines()
    address = Address("c", "Basic", "1", 1, 1, 1_767_225_600_000).encode()

    for line in lines:
        assert open_sealed(seal(line, address, KEY, secrets.token_bytes(12)), address, KEY) == line
