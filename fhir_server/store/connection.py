"""One connection to MongoDB, durable by default, and the seam where its exceptions end.

sealed-storage section 4: `w: 1` lost acknowledged writes when mongod was killed, `w: majority` with a journal none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, DocumentTooLarge, PyMongoError

from fhir_server.kernel.errors import FhirError, TooLargeError, UnavailableError

Document: TypeAlias = dict[str, Any]
Client: TypeAlias = AsyncMongoClient[Document]


OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "retryWrites": True,
    "retryReads": True,
    "tz_aware": True,
    "serverSelectionTimeoutMS": 10_000,
    "maxPoolSize": 64,
    "appname": "fhir-server",
}
"""Writes are acknowledged by a majority and journalled, and reads see only such writes."""


def connect(uri: str) -> Client:
    return AsyncMongoClient(uri, **OPTIONS)


_DUPLICATE_KEY = 11000


def is_duplicate(error: BulkWriteError) -> bool:
    """Did a row with the same id, or the same unique value, stand in the way?"""
    return any(fault.get("code") == _DUPLICATE_KEY for fault in error.details.get("writeErrors", []))


def is_only_duplicates(error: BulkWriteError) -> bool:
    """Did nothing else go wrong, so that all of it is there now?"""
    faults = error.details.get("writeErrors", [])
    return not error.details.get("writeConcernErrors") and all(one.get("code") == _DUPLICATE_KEY for one in faults)


@contextmanager
def seam() -> Iterator[None]:
    """Inside, PyMongo may raise what it likes; outside there are FhirErrors that say nothing of its content."""
    try:
        yield
    except FhirError:
        raise
    except DocumentTooLarge:
        raise TooLargeError("The resource is too large to be stored.") from None
    except PyMongoError as error:
        raise UnavailableError(f"The database did not answer as it should ({type(error).__name__}).") from error
