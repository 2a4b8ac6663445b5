"""What seals the events of one writer, and what they commit to.

Random nonces under one key for all events of a clinic would wear it out: each writer's lane has its own, derived.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from fhir_server.crypto.commitment import Salts, commitment
from fhir_server.crypto.derivation import derive
from fhir_server.crypto.keys import DataKey
from fhir_server.store.connection import Document
from fhir_server.store.documents import Documents, moment
from fhir_server.store.received import Event


@dataclass(frozen=True, slots=True)
class Lane:
    writer: str
    key: DataKey
    salts: Salts

    @classmethod
    def of(cls, root: DataKey, writer: str) -> Self:
        """`root`: the key of the log."""
        return cls(writer, writer_key(root, writer), Salts(root, writer))

    def salt(self, number: int) -> bytes:
        return self.salts.of(number)

    def sealed(self, documents: Documents, events: Iterable[tuple[int, Event, bytes]], seq: int) -> list[Document]:
        """The rows of these events, each with its number and what it carries along. The ids are known here at last."""
        recorded = moment(seq)
        return [self._row(documents, event, number, seq, recorded, more) for number, event, more in events]

    def _row(
        self, documents: Documents, event: Event, number: int, seq: int, recorded: datetime, carried: bytes
    ) -> Document:
        id = f"{self.writer}-{number}"
        plain = event.event(id, recorded)
        row: Document = {
            "_id": {"w": self.writer, "n": number},
            "seq": seq,
            "key": self.key.id,
            "commitment": commitment(self.salt(number), plain),
            "sealed": documents.seal_bytes(plain, "AuditEvent", id, seq, self.key),
        }
        if carried:
            row["carried"] = carried
        return row

    def opened(self, documents: Documents, row: Document) -> bytes:
        """The event as it was written. Raises UnavailableError where the row is not what was sealed."""
        id = f"{self.writer}-{row['_id']['n']}"
        return documents.open_bytes(row["sealed"], "AuditEvent", id, int(row["seq"]), self.key)


def writer_key(root: DataKey, writer: str) -> DataKey:
    return DataKey(root.id, derive(root.secret, "audit", writer.encode()))
