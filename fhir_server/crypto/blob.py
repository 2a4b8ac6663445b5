"""A photo's bytes as sealed chunks: any range can be opened alone, nothing can be cut off, moved or exchanged.

AES-256-GCM (NIST SP 800-38D) in the manner of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, 2015): number and final flag
are the nonce, under a key of this upload attempt alone (HKDF of the rendition's data key with a fresh salt).
So one attempt must seal each chunk once: who sends an offset again must send the same bytes, and another attempt takes
another salt. Sealing and opening release the interpreter lock: call them in a thread.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.crypto.derivation import derive
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import DataKey
from fhir_server.kernel.errors import RangeNotSatisfiableError

CHUNK = 64 << 10
SEALED_CHUNK = CHUNK + 16
"""What a full chunk takes when stored; only the final one may be shorter."""
SALT_BYTES = 32
_MOST_CHUNKS = 1 << 32


class Blob:
    """Seals and opens the chunks of one upload attempt. Holds no state: any process can go on with any chunk."""

    def __init__(self, key: DataKey, salt: bytes, clinic: str, photo_id: str) -> None:
        if len(salt) != SALT_BYTES:
            raise ValueError("A file salt has 32 bytes.")
        self._cipher = AESGCM(derive(key.secret, "photo", key.id, salt=salt))
        self._place = frame([clinic.encode(), photo_id.encode()])

    def seal_chunk(self, number: int, plain: bytes | memoryview, *, final: bool) -> bytes:
        if not _fits(number, len(plain), final=final):
            raise ValueError("Every chunk but the final one has 64 KiB, and none is empty but that of an empty blob.")
        nonce = _nonce(number, final=final)
        return self._cipher.encrypt(nonce, plain, self._place + nonce)

    def open_chunk(self, number: int, sealed: bytes, *, final: bool) -> bytes:
        """Raises OpeningError for a chunk of another blob, number or flag."""
        nonce = _nonce(number, final=final)
        try:
            plain = self._cipher.decrypt(nonce, sealed, self._place + nonce)
        except InvalidTag:
            raise OpeningError("The chunk does not open at this place.") from None
        if not _fits(number, len(plain), final=final):
            raise OpeningError("The chunk has an impossible length.")
        return plain

    def seal(self, plain: bytes | memoryview, first: int = 0, *, final: bool = True) -> Iterator[bytes]:
        """The sealed chunks of plain bytes that begin with chunk number `first`. `final`: and end the blob."""
        for number, at in enumerate(range(0, max(1, len(plain)), CHUNK), first):
            yield self.seal_chunk(number, plain[at : at + CHUNK], final=final and at + CHUNK >= len(plain))

    def open(self, chunks: Iterable[bytes], span: "Span") -> Iterator[bytes]:
        """The plain bytes of a span, from exactly its sealed chunks in order. Fewer or more raise OpeningError."""
        skip, left = span.skip, span.size
        numbers = iter(span.numbers)
        for sealed in chunks:
            number = next(numbers, None)
            if number is None:
                raise OpeningError("There are more chunks than the range has.")
            plain = self.open_chunk(number, sealed, final=number == span.last)
            wanted = plain[skip : skip + left]
            skip, left = 0, left - len(wanted)
            yield wanted
        if left or next(numbers, None) is not None:
            raise OpeningError("Chunks are missing at the end.")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a plain range lies: which chunks to fetch, how much of the first to skip, how many bytes to take.

    `last` is the number of the blob's final chunk, in the span or not.
    """

    numbers: range
    skip: int
    size: int
    last: int


def chunk_count(length: int) -> int:
    """How many chunks a blob of this many plain bytes has; an empty one has one."""
    return max(1, -(-length // CHUNK))


def chunks_for(start: int, stop: int, length: int) -> Span:
    """The chunks that hold the plain bytes `start` (inclusive) to `stop` (exclusive) of a blob of `length` bytes.

    `length` comes from the sealed Media, never from counting stored chunks. Raises RangeNotSatisfiableError.
    """
    if not 0 <= start <= stop <= length:
        raise RangeNotSatisfiableError(length)
    last = chunk_count(length) - 1
    if length and start == stop:
        return Span(range(0), 0, 0, last)
    first = start // CHUNK
    return Span(range(first, max(first, (stop - 1) // CHUNK) + 1), start - first * CHUNK, stop - start, last)


def _nonce(number: int, *, final: bool) -> bytes:
    return number.to_bytes(11) + bytes([final])


def _fits(number: int, size: int, *, final: bool) -> bool:
    if not 0 <= number < _MOST_CHUNKS:
        return False
    return size == CHUNK or (final and size < CHUNK and (size > 0 or number == 0))
