"""Whatever is sealed comes back; whatever is changed anywhere does not open."""

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.seal import Address, key_id_of, open_sealed, seal

NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=8)
KEYS = st.builds(DataKey, st.binary(min_size=16, max_size=16).map(KeyId), st.binary(min_size=32, max_size=32))
ADDRESSES = st.builds(
    Address,
    TEXTS,
    TEXTS,
    TEXTS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.lists(TEXTS, max_size=3).map(tuple),
    st.lists(TEXTS, max_size=3).map(tuple),
    st.booleans(),
)
NONCES = st.binary(min_size=12, max_size=12)


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(changed)


@given(st.binary(max_size=5000), ADDRESSES, KEYS, NONCES)
def test_a_seal_opens_at_its_address_and_names_its_key(
    plain: bytes, address: Address, key: DataKey, nonce: bytes
) -> None:
    sealed = seal(plain, address.encode(), key, nonce)

    assert open_sealed(sealed, address.encode(), key) == plain
    assert key_id_of(sealed) == key.id


@given(st.binary(max_size=300), ADDRESSES, KEYS, NONCES, st.integers(0, 8 * 500))
def test_any_flipped_bit_of_the_envelope_is_refused(
    plain: bytes, address: Address, key: DataKey, nonce: bytes, bit: int
) -> None:
    sealed = seal(plain, address.encode(), key, nonce)

    with pytest.raises(OpeningError):
        open_sealed(flipped(sealed, bit), address.encode(), key)


@given(ADDRESSES, KEYS, NONCES, st.integers(0, 8 * 500))
def test_any_flipped_bit_of_the_address_or_the_key_is_refused(
    address: Address, key: DataKey, nonce: bytes, bit: int
) -> None:
    sealed = seal(b"content", address.encode(), key, nonce)

    with pytest.raises(OpeningError):
        open_sealed(sealed, flipped(address.encode(), bit), key)
    for other in (
        dataclasses.replace(key, secret=flipped(key.secret, bit)),
        dataclasses.replace(key, id=KeyId(flipped(key.id, bit))),
    ):
        with pytest.raises(OpeningError):
            open_sealed(sealed, address.encode(), other)


@given(ADDRESSES, ADDRESSES)
@settings(max_examples=200)
def test_two_addresses_have_the_same_bytes_only_if_they_are_one(first: Address, second: Address) -> None:
    assert (first.encode() == second.encode()) == (first == second)


@given(ADDRESSES, st.data())
def test_no_text_can_move_from_one_field_of_an_address_to_the_next(address: Address, data: st.DataObject) -> None:
    texts = [address.clinic, address.type, address.id, *address.access, *address.subjects]
    joined = "".join(texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), min_size=len(texts) - 1, max_size=len(texts) - 1)))
    parts = [joined[at:to] for at, to in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
    assume(parts != texts)
    end = 3 + len(address.access)
    other = address._replace(
        clinic=parts[0], type=parts[1], id=parts[2], access=tuple(parts[3:end]), subjects=tuple(parts[end:])
    )

    assert other.encode() != address.encode()


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_framing_is_unambiguous(first: list[bytes], second: list[bytes]) -> None:
    assert (frame(first) == frame(second)) == (first == second)
