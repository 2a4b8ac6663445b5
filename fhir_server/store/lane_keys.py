"""What seals the events of one writer, and what they commit to.

Random nonces under one key for all events of a clinic would wear it out: each writer's lane has its own, derived.
"""

from dataclasses import dataclass
from typing import Self

from fhir_server.crypto.commitment import commitment, salt, salt_key
from fhir_server.crypto.derivation import derive
from fhir_server.crypto.keys import DataKey
from fhir_server.store.connection import Document
from fhir_server.store.documents import Documents, moment
from fhir_server.store.received import Event


@dataclass(frozen=True, slots=True)
class Lane:
    writer: str
    key: DataKey
    salts: bytes

    @classmethod
    def of(cls, root: DataKey, writer: str) -> Self:
        """`root`: the key of the log."""
        return cls(writer, writer_key(root, writer), salt_key(root, writer))

    def salt(self, number: int) -> bytes:
        return salt(self.salts, number)

    def sealed(self, documents: Documents, event: Event, number: int, seq: int, carried: bytes = b"") -> Document:
        """An event's row. Its id is known here, so it is written here."""
        id = f"{self.writer}-{number}"
        plain = event.event(id, moment(seq))
        row: Document = {
            "_id": {"w": self.writer, "n": number},
            "seq": seq,
            "key": self.key.id,
            "commitment": commitment(self.salt(number), plain),
            "sealed": documents.seal_bytes(plain, "AuditEvent", id, seq, self.key),
        }
        return {**row, "carried": carried} if carried else row

    def opened(self, documents: Documents, row: Document) -> bytes:
        """The event as it was written. Raises UnavailableError where the row is not what was sealed."""
        id = f"{self.writer}-{row['_id']['n']}"
        return documents.open_bytes(row["sealed"], "AuditEvent", id, int(row["seq"]), self.key)


def writer_key(root: DataKey, writer: str) -> DataKey:
    return DataKey(root.id, derive(root.secret, "audit", writer.encode()))
