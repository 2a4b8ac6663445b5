import struct

import pytest

from fhir_server.crypto import packing
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.packing import MOST_PLAIN, bucket, pack, unpack
from fhir_server.kernel.errors import TooLargeError

MOST = 1 << 20


@pytest.mark.parametrize(
    ("size", "padded"),
    [(0, 64), (64, 64), (65, 128), (128, 128), (129, 256), (256, 256), (257, 320), (512, 512), (513, 640), (900, 1024)],
)
def test_lengths_fall_into_buckets(size: int, padded: int) -> None:
    assert bucket(size) == padded


def test_no_bucket_is_more_than_a_quarter_filling_once_it_is_large() -> None:
    for size in range(257, 20_000):
        assert size <= bucket(size) <= size * 1.25


@pytest.mark.parametrize("plain", [b"", b"x", b"ab" * 500, bytes(range(256)) * 9])
def test_what_was_packed_unpacks(plain: bytes) -> None:
    packed = pack(plain, MOST)

    assert len(packed) == bucket(len(packed))
    assert unpack(packed) == plain


def test_two_lengths_of_one_bucket_look_alike() -> None:
    assert len(pack(b"short", MOST)) == len(pack(b"a bit longer than that", MOST)) == 64


def test_the_last_bucket_ends_at_the_limit_and_beyond_it_is_too_large() -> None:
    plain = bytes(range(256)) * 4
    needed = struct.calcsize(">II") + struct.unpack_from(">I", pack(plain, MOST))[0]

    assert len(pack(plain, needed)) == needed
    with pytest.raises(TooLargeError):
        pack(plain, needed - 1)


def test_more_than_can_be_opened_again_is_not_packed() -> None:
    with pytest.raises(TooLargeError):
        pack(bytes(MOST_PLAIN + 1), MOST)


def broken(squeezed: int, length: int, rest: bytes) -> bytes:
    return struct.pack(">II", squeezed, length) + rest


GOOD = pack(b"ab" * 500, MOST)
FRAME = GOOD[8 : 8 + struct.unpack_from(">I", GOOD)[0]]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0" * 7,
        broken(100, 5, b"too short"),
        broken(len(FRAME), MOST_PLAIN + 1, FRAME),
        broken(4, 5, b"junk"),
        broken(len(FRAME), 999, FRAME),
        broken(len(FRAME), 1001, FRAME),
        broken(len(FRAME) - 1, 1000, FRAME),
    ],
    ids=["empty", "torso", "cut off", "beyond the limit", "no frame", "longer", "shorter", "cut frame"],
)
def test_lengths_that_do_not_fit_the_content_are_refused(packed: bytes) -> None:
    with pytest.raises(OpeningError):
        unpack(packed)


def test_a_decompression_bomb_stops_at_the_stated_length() -> None:
    bomb = packing._contexts.compressor.compress(bytes(MOST_PLAIN))

    with pytest.raises(OpeningError):
        unpack(broken(len(bomb), 1000, bomb))
