"""The second, synchronous client to the same database, for what runs in worker threads.

ADR 9: the OAuth server's grants are synchronous; on a client of their own they never block the event loop.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pymongo import MongoClient
from pymongo.synchronous.collection import Collection
from pymongo.synchronous.database import Database

from fhir_server.store.connection import OPTIONS, Document

Rows: TypeAlias = Collection[Document]


_OPTIONS = {
    **OPTIONS,
    "maxPoolSize": 32,
    # The other client streams the topology; here a thread less is worth more, and none is left over when it is closed.
    "serverMonitoringMode": "poll",
}


@contextmanager
def synchronous(uri: str, database: str) -> Iterator[Database[Document]]:
    """As durable as the other client; closed when left."""
    with MongoClient[Document](uri, **_OPTIONS) as client:
        yield client[database]
