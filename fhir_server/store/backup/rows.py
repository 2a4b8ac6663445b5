"""Which rows a backup holds, and reading them as of one instant.

sealed-storage section 2: tokens are never part of a backup. https://www.mongodb.com/docs/v6.0/reference/read-concern-snapshot/

Rows that only let somebody in for a while are left out too: what was ended since must not come back to life. After a
restore everybody signs in again, and apps ask again.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeAlias, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from fhir_server.crypto.errors import ArchiveError
from fhir_server.kernel.errors import UnavailableError
from fhir_server.store.collections import RESTORING
from fhir_server.store.connection import Document, seam

Instant: TypeAlias = Timestamp

REBUILT = frozenset({"audit_index", "locks"})
"""What is nothing but tokens."""

LAPSING = frozenset(
    {
        "sign_ins",
        "grants",
        "refresh_tokens",
        "handles",
        "attempts",
        "spent",
        "openings",
        "exports",
        "export_files",
        RESTORING,
    }
)

WITHOUT: dict[str, Sequence[str]] = {"resources": ("tokens", "layout"), "users": ("token",)}
"""The fields of a row that are rebuilt from its truth."""

_AT_ONCE = 1_000
_SNAPSHOT_TOO_OLD = frozenset({239, 246})
DECODED: CodecOptions[Document] = CodecOptions(tz_aware=True)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class SnapshotGoneError(ArchiveError):
    """The database keeps that instant no longer."""


async def now(database: AsyncDatabase[Document]) -> Instant:
    """The instant after everything that was acknowledged until this call."""
    with seam():
        answer = await database.command("ping")
    if "operationTime" not in answer:
        raise UnavailableError("Backups need a MongoDB replica set: the database tells no instant.")
    found: Instant = answer["operationTime"]
    return found


async def names(database: AsyncDatabase[Document]) -> list[str]:
    """Every collection that is backed up, whoever made it."""
    with seam():
        there = await database.list_collection_names(filter={"type": "collection"})
    return sorted(name for name in there if name not in REBUILT | LAPSING and not name.startswith("system."))


async def rows(
    database: AsyncDatabase[Document],
    name: str,
    at: Instant | None = None,
    after: Any = None,  # noqa: ANN401  any id
) -> AsyncGenerator[bytes]:
    """The rows as they lie, in the order of their ids, as of that instant, or as they are now."""
    concern: Document = {"level": "snapshot", "atClusterTime": at} if at else {"level": "majority"}
    command: Document = {
        "find": name,
        "filter": {"_id": {"$gt": after}} if after is not None else {},
        "sort": {"_id": 1},
        "hint": "_id_",
        "batchSize": _AT_ONCE,
        "readConcern": concern,
    }
    if without := WITHOUT.get(name):
        command["projection"] = dict.fromkeys(without, 0)
    with seam():
        try:
            cursor = await database.cursor_command(command, codec_options=_RAW)
            async with cursor:
                async for row in cursor:
                    yield bytes(cast("RawBSONDocument", row).raw)
        except OperationFailure as error:
            if error.code in _SNAPSHOT_TOO_OLD:
                raise SnapshotGoneError(
                    "The database does not keep the backup's instant any longer: raise its parameter "
                    "minSnapshotHistoryWindowInSeconds to longer than a backup takes, and begin again."
                ) from None
            raise


def id_of(row: bytes) -> Any:  # noqa: ANN401  any id
    return bson.decode(row, DECODED)["_id"]


def split(piece: bytes) -> list[RawBSONDocument]:
    """The rows of a piece, each as the bytes that it was."""
    return list(bson.decode_iter(piece, _RAW))
