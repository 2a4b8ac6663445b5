import pytest

from fhir_server.crypto.blob import CHUNK, SEALED_CHUNK, Blob, Span, chunk_count, chunks_for
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.kernel.errors import RangeNotSatisfiableError
from tests.unit.crypto.keys_at_hand import KEY

SALT = b"s" * 32
BLOB = Blob(KEY, SALT, "clinic", "photo-1")
PLAIN = bytes(range(256)) * (CHUNK // 128) + b"the rest"
CHUNKS = list(BLOB.seal(PLAIN))
WHOLE = chunks_for(0, len(PLAIN), len(PLAIN))


def opened(blob: Blob, chunks: list[bytes], span: Span = WHOLE) -> bytes:
    return b"".join(blob.open(chunks, span))


def test_a_photo_comes_back() -> None:
    assert len(CHUNKS) == chunk_count(len(PLAIN)) == 3
    assert [len(chunk) for chunk in CHUNKS] == [SEALED_CHUNK, SEALED_CHUNK, 8 + 16]
    assert opened(BLOB, CHUNKS) == PLAIN


def test_stretches_of_whole_chunks_make_the_same_chunks() -> None:
    view = memoryview(PLAIN)

    first, rest = BLOB.seal(view[:CHUNK], final=False), BLOB.seal(view[CHUNK:], 1)

    assert [*first, *rest] == CHUNKS


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_lengths_at_the_edge_of_a_chunk_come_back(length: int) -> None:
    plain = PLAIN[:length]
    chunks = list(BLOB.seal(plain))

    assert len(chunks) == chunk_count(length)
    assert opened(BLOB, chunks, chunks_for(0, length, length)) == plain


def test_a_truncated_photo_is_refused() -> None:
    for kept in (CHUNKS[:2], CHUNKS[:1], []):
        with pytest.raises(OpeningError):
            opened(BLOB, kept)


def test_a_photo_cut_at_a_chunk_cannot_pass_for_a_shorter_one() -> None:
    shorter = chunks_for(0, 2 * CHUNK, 2 * CHUNK)

    with pytest.raises(OpeningError):
        opened(BLOB, CHUNKS[:2], shorter)


def test_a_photo_that_ends_before_its_stated_length_is_refused() -> None:
    with pytest.raises(OpeningError):
        opened(BLOB, CHUNKS, chunks_for(0, len(PLAIN) + 1, len(PLAIN) + 1))


def test_chunks_in_another_order_are_refused() -> None:
    with pytest.raises(OpeningError):
        opened(BLOB, [CHUNKS[1], CHUNKS[0], CHUNKS[2]])


def test_a_chunk_too_many_is_refused() -> None:
    with pytest.raises(OpeningError):
        opened(BLOB, [*CHUNKS, CHUNKS[2]])


@pytest.mark.parametrize(
    "other",
    [
        Blob(KEY, SALT, "clinic", "photo-2"),
        Blob(KEY, SALT, "clinicphoto", "-1"),
        Blob(KEY, b"t" * 32, "clinic", "photo-1"),
        Blob(DataKey(KEY.id, b"x" * 32), SALT, "clinic", "photo-1"),
        Blob(DataKey(KeyId(b"another key id.."), KEY.secret), SALT, "clinic", "photo-1"),
    ],
    ids=["photo", "clinic", "attempt", "key", "key id"],
)
def test_a_chunk_of_something_else_is_refused(other: Blob) -> None:
    with pytest.raises(OpeningError):
        other.open_chunk(0, CHUNKS[0], final=False)


def test_the_wrong_final_flag_is_refused() -> None:
    for number, chunk in enumerate(CHUNKS):
        with pytest.raises(OpeningError):
            BLOB.open_chunk(number, chunk, final=number != 2)


@pytest.mark.parametrize("sealed", [b"", CHUNKS[0][:15], CHUNKS[0][:-1], CHUNKS[0] + b"\0", b"\1" + CHUNKS[0][1:]])
def test_damaged_chunks_are_refused(sealed: bytes) -> None:
    with pytest.raises(OpeningError):
        BLOB.open_chunk(0, sealed, final=False)


@pytest.mark.parametrize(
    ("number", "size", "flag"),
    [(0, 5, 0), (0, CHUNK + 1, 1), (1, 0, 1), (-1, CHUNK, 0), (1 << 32, CHUNK, 0)],
)
def test_a_chunk_that_no_photo_can_have_is_not_sealed(number: int, size: int, flag: int) -> None:
    with pytest.raises(ValueError, match="64 KiB"):
        BLOB.seal_chunk(number, bytes(size), final=bool(flag))


def test_a_short_chunk_in_the_middle_is_refused_even_when_its_seal_is_good() -> None:
    nonce = (0).to_bytes(11) + b"\0"
    forged = BLOB._cipher.encrypt(nonce, b"short", BLOB._place + nonce)

    with pytest.raises(OpeningError, match="length"):
        BLOB.open_chunk(0, forged, final=False)


def test_a_range_needs_its_own_chunks_only() -> None:
    span = chunks_for(CHUNK + 5, CHUNK + 9, len(PLAIN))

    assert span == Span(range(1, 2), 5, 4, 2)
    assert opened(BLOB, CHUNKS[1:2], span) == PLAIN[CHUNK + 5 : CHUNK + 9]


def test_an_empty_range_needs_no_chunk_but_an_empty_photo_has_one() -> None:
    assert chunks_for(7, 7, 100) == Span(range(0), 0, 0, 0)
    assert chunks_for(0, 0, 0) == Span(range(1), 0, 0, 0)


@pytest.mark.parametrize(("start", "stop", "length"), [(-1, 5, 10), (6, 5, 10), (0, 11, 10), (1, 1, 0)])
def test_a_range_outside_the_photo_is_not_satisfiable(start: int, stop: int, length: int) -> None:
    with pytest.raises(RangeNotSatisfiableError) as caught:
        chunks_for(start, stop, length)

    assert caught.value.length == length


def test_a_salt_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Blob(KEY, b"short", "clinic", "photo-1")
