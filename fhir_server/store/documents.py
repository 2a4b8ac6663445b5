"""A stored row: its address and index in clear, its truth sealed; and back.

sealed-storage sections 1 and 2. The associated data is the whole address, so that no row can be swapped, moved or
given another owner without being found out.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import DataKey, DataRequest, KeyClass, KeyId, KeyRequest, PictureRequest
from fhir_server.crypto.seal import Address, open_sealed, seal
from fhir_server.engine.change import Change
from fhir_server.engine.classification import clear, key_class
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.store.connection import Document

NewBytes = Callable[[int], bytes]

UNSEARCHED = {"tokens": False, "layout": False}
"""What a reader of a row does not fetch: decoding fifty numbers costs more than opening the seal."""

_LONGEST_AUTHOR = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DamagedError(UnavailableError):
    """A row that is not what was sealed, and will not be on another try either."""

    def __init__(self) -> None:
        super().__init__("A stored row does not open: it is damaged or was changed outside this server.")


class Row(NamedTuple):
    """A Change made ready outside the flusher: all but its place in time and its seal.

    `layout`: in which way the tokens were made. `locks`: the tokens of its condition, on which conditional writes with
    the same criteria wait for each other.
    `framed`: what is sealed instead of the truth where data lies beside it; `framed_under`: the key that sealed that
    data, which has to be the row's own; `brought`: the ids of what of it comes with this change.
    `pictured`: a picture stands in it.
    """

    change: Change
    truth: bytes
    access: tuple[str, ...]
    subjects: tuple[str, ...]
    tokens: list[int]
    clear: Json
    layout: int
    locks: tuple[int, ...] = ()
    framed: bytes | None = None
    framed_under: KeyId | None = None
    brought: tuple[str, ...] = ()
    pictured: bool = False

    @property
    def plain(self) -> bytes:
        """What is sealed."""
        return self.truth if self.framed is None else self.framed

    @property
    def id(self) -> str:
        return str(self.change.key)

    @property
    def owners(self) -> DataRequest:
        """Whose key seals it. What names no patient is the clinic's; what has a picture in it goes alone."""
        if not self.subjects:
            return KeyRequest((), KeyClass.CLINIC)
        if self.pictured:
            return PictureRequest(self.subjects, self.id)
        return KeyRequest(self.subjects, key_class(self.change.content))


def moment(seq: int) -> datetime:
    """The lastUpdated that belongs to a seq: the same instant, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=seq // 1000)


class Documents:
    """Seals and opens rows for one clinic."""

    def __init__(self, clinic: str, new_bytes: NewBytes) -> None:
        self._clinic, self._new_bytes = clinic, new_bytes

    def sealed(self, row: Row, seq: int, key: DataKey) -> tuple[Document, Stored]:
        """The document to write, and the version that it makes."""
        change = row.change
        deleted = change.resource is None
        last_updated = moment(seq)
        address = self._address(change.key, change.version, seq, row.access, row.subjects, deleted=deleted)
        document: Document = {
            "_id": row.id,
            "type": change.key.type,
            "id": change.key.id,
            "version": change.version,
            "seq": seq,
            "lastUpdated": last_updated,
            "access": list(row.access),
            "subjects": list(row.subjects),
            "deleted": deleted,
            "key": key.id,
            "sealed": seal(signed(change.author, row.plain), address, key, self._new_bytes(12)),
            "clear": row.clear,
            "method": change.method,
            "tokens": row.tokens,
            "layout": row.layout,
        }
        stored = Stored(
            change.key,
            change.version,
            seq,
            last_updated,
            row.truth,
            row.access,
            row.subjects,
            deleted,
            document,
            author=change.author,
        )
        return document, stored

    def opened(self, document: Document, key: DataKey) -> Stored:
        """Raises UnavailableError where the row is not what was sealed: it was changed, or moved, or is damaged."""
        resource_key = ResourceKey(document["type"], document["id"])
        version, seq, deleted = int(document["version"]), int(document["seq"]), document["deleted"]
        access, subjects = tuple(document["access"]), tuple(document["subjects"])
        if document["_id"].partition("/_history/")[0] != str(resource_key):
            raise DamagedError
        address = self._address(resource_key, version, seq, access, subjects, deleted=deleted)
        try:
            author, plain = unsigned(open_sealed(document["sealed"], address, key))
        except OpeningError:
            raise DamagedError from None
        return Stored(
            resource_key, version, seq, moment(seq), plain, access, subjects, deleted, document, author=author
        )

    def seal_bytes(self, plain: bytes, kind: str, id: str, version: int, key: DataKey) -> bytes:
        """Seal what is not a resource (a head row, an event, a photo's particulars) to its own place."""
        return seal(plain, self._address(ResourceKey(kind, id), version, 0), key, self._new_bytes(12))

    def open_bytes(self, sealed: bytes, kind: str, id: str, version: int, key: DataKey) -> bytes:
        try:
            return open_sealed(sealed, self._address(ResourceKey(kind, id), version, 0), key)
        except OpeningError:
            raise DamagedError from None

    def _address(
        self,
        key: ResourceKey,
        version: int,
        seq: int,
        access: tuple[str, ...] = (),
        subjects: tuple[str, ...] = (),
        *,
        deleted: bool = False,
    ) -> bytes:
        address = Address(self._clinic, key.type, key.id, version, seq, seq // 1000, access, subjects, deleted)
        return address.encode()


def signed(author: str, plain: bytes) -> bytes:
    """What is sealed: who wrote the version, then what they wrote. Nobody reads the author out of the database."""
    name = author.encode("utf-8", "replace")[:_LONGEST_AUTHOR]
    return bytes([len(name)]) + name + plain


def unsigned(sealed: bytes) -> tuple[str, bytes]:
    begins = sealed[0] + 1
    return sealed[1:begins].decode(errors="replace"), sealed[begins:]


def historic(document: Mapping[str, Any], until: int) -> Document:
    """The same sealed row as an earlier version: without tokens, for only current versions are searched.

    `until` is the seq of the version that took its place.
    """
    kept = {name: value for name, value in document.items() if name not in {"tokens", "layout"}}
    return {**kept, "_id": f"{document['_id']}/_history/{document['version']}", "until": until}


def row(change: Change, access: Sequence[str], subjects: Sequence[str], tokens: list[int], layout: int) -> Row:
    """A deletion keeps the address and nothing else."""
    if change.resource is None:
        return Row(change, b"{}", tuple(access), tuple(subjects), [], {}, layout)
    return Row(
        change,
        truth(change.key, change.resource),
        tuple(access),
        tuple(subjects),
        tokens,
        clear(change.resource),
        layout,
    )
