"""A checkpoint: how long the log is and its root, signed, as a few lines of text; and who else signed it.

https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.signing import SIGNATURE_BYTES, verify
from fhir_server.crypto.tree import HASH

_DASH = "\u2014 "
_ED25519, _COSIGNATURE = b"\x01", b"\x04"
_ID_BYTES, _TIME_BYTES = 4, 8
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin` names the log for good. `more`: further lines that are signed with it."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), _base64(self.root), *self.more))


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness saw this checkpoint, after every earlier one that it signed, at `seconds` after 1970."""

    name: str
    seconds: int


def signed(checkpoint: Checkpoint, public: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The note: the text, a blank line, and a line with the log's own signature."""
    signature = _key_id(checkpoint.origin, _ED25519, public) + sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{_DASH}{checkpoint.origin} {_base64(signature)}\n"


def verifier_key(name: str, public: bytes) -> str:
    """The public key of a log, as one line to be handed to whoever verifies."""
    return _verifier(name, _ED25519, public)


def witness_key(name: str, public: bytes) -> str:
    """That of a witness: for its lines alone, never for a log."""
    return _verifier(name, _COSIGNATURE, public)


def cosigned(note: str, name: str, public: bytes, sign: Callable[[bytes], bytes], seconds: int) -> str:
    """The line that a witness adds to a note."""
    signature = sign(_cosigned_text(note, seconds))
    return f"{_DASH}{name} {_base64(_key_id(name, _COSIGNATURE, public) + seconds.to_bytes(_TIME_BYTES) + signature)}\n"


def opened(note: str, key: str) -> Checkpoint:
    """What the log signed. Raises SignatureError where it is no checkpoint, or not signed with this verifier key."""
    name, public = _key(key, _ED25519)
    checkpoint = parsed(note)
    if checkpoint.origin != name:
        raise SignatureError("The checkpoint is one of another log.")
    for signer, blob in _signatures(note):
        if signer == name and blob[:_ID_BYTES] == _key_id(name, _ED25519, public):
            verify(public, blob[_ID_BYTES:], _text(note).encode())
            return checkpoint
    raise SignatureError("The checkpoint bears no signature of this log.")


def witnessed(note: str, key: str) -> Cosignature:
    """What the witness with this verifier key signed. Raises SignatureError where it did not."""
    name, public = _key(key, _COSIGNATURE)
    for signer, blob in _signatures(note):
        if signer == name and blob[:_ID_BYTES] == _key_id(name, _COSIGNATURE, public):
            seconds = int.from_bytes(blob[_ID_BYTES : _ID_BYTES + _TIME_BYTES])
            verify(public, blob[_ID_BYTES + _TIME_BYTES :], _cosigned_text(note, seconds))
            return Cosignature(name, seconds)
    raise SignatureError("The checkpoint bears no signature of this witness.")


def parsed(note: str) -> Checkpoint:
    """What a checkpoint says, whoever signed it."""
    lines = note.partition("\n\n")[0].split("\n")
    try:
        origin, size, hashed, *more = lines
        root = base64.b64decode(hashed, validate=True)
        is_number = size.isascii() and size.isdigit() and str(int(size)) == size
    except ValueError:
        raise SignatureError("This is no checkpoint.") from None
    if len(note) > _MOST_BYTES or not origin or not is_number or len(root) != HASH or not all(more):
        raise SignatureError("This is no checkpoint.")
    return Checkpoint(origin, int(size), root, tuple(more))


def _cosigned_text(note: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{_text(note)}".encode()


def _text(note: str) -> str:
    """The part of a note that is signed."""
    return note.partition("\n\n")[0] + "\n"


def _signatures(note: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for line in note.partition("\n\n")[2].splitlines():
        name, _, signature = line.removeprefix(_DASH).partition(" ")
        try:
            blob = base64.b64decode(signature, validate=True)
        except binascii.Error:
            continue
        if line.startswith(_DASH) and len(blob) >= _ID_BYTES + SIGNATURE_BYTES:
            found.append((name, blob))
    return found


def _key(key: str, kind: bytes) -> tuple[str, bytes]:
    """A verifier key taken apart: the name and the public key."""
    name, _, rest = key.strip().partition("+")
    id, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if raw[:1] != kind or _key_id(name, kind, raw[1:]).hex() != id:
        raise SignatureError("This is no verifier key of that kind.")
    return name, raw[1:]


def _verifier(name: str, kind: bytes, public: bytes) -> str:
    return f"{name}+{_key_id(name, kind, public).hex()}+{_base64(kind + public)}"


def _key_id(name: str, kind: bytes, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:_ID_BYTES]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
