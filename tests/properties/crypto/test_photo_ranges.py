"""A range of a sealed photo is the slice of its bytes, whatever its length and however its bytes came in."""

import secrets

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.crypto.blob import CHUNK, SALT_BYTES, Blob, chunk_count, chunks_for
from fhir_server.crypto.keys import DataKey, KeyId

PLAIN = secrets.token_bytes(4 * CHUNK + 7)
BLOB = Blob(DataKey(KeyId(b"i" * 16), b"k" * 32), b"s" * SALT_BYTES, "clinic", "photo")
EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, 4 * CHUNK, len(PLAIN)]
LENGTHS = st.sampled_from(EDGES) | st.integers(0, len(PLAIN))


@given(LENGTHS, st.integers(0, 4), st.data())
@settings(max_examples=60, deadline=None)
def test_a_range_is_the_slice(length: int, apart: int, data: st.DataObject) -> None:
    plain = PLAIN[:length]
    cut = apart * CHUNK if apart * CHUNK < length else 0
    first = BLOB.seal(plain[:cut], final=False) if cut else ()
    chunks = [*first, *BLOB.seal(plain[cut:], cut // CHUNK)]
    assert len(chunks) == chunk_count(length)

    for _ in range(5):
        start, stop = sorted(min(data.draw(LENGTHS), length) for _ in range(2))
        span = chunks_for(start, stop, length)
        mine = [chunks[number] for number in span.numbers]
        assert b"".join(BLOB.open(mine, span)) == plain[start:stop]
        assert len(mine) <= (stop - start) // CHUNK + 2
