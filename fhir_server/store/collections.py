"""Which collections a clinic has, and the indexes that every query on them uses.

Architecture section 4. Wrapped keys lie in a database of their own, backed up apart from the data.
"""

from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.kernel.errors import UnavailableError
from fhir_server.store.connection import Client, Document, seam

INDEXES: dict[str, list[IndexModel]] = {
    "resources": [
        # Without the id: it would triple the index, and rows of one seq are few, for it rises strictly in a process.
        IndexModel([("tokens", ASCENDING), ("seq", ASCENDING)], name="tokens_seq"),
        IndexModel([("type", ASCENDING), ("seq", ASCENDING)], name="changes"),
        # What a key sealed is found by it when it is erased.
        IndexModel([("key", ASCENDING)], name="key"),
        # What names several patients has a key of all of them; of the others the key tells whose they are.
        IndexModel([("subjects", ASCENDING)], name="shared", partialFilterExpression={"subjects.1": {"$exists": True}}),
    ],
    "history": [
        IndexModel([("type", ASCENDING), ("seq", ASCENDING)], name="changes"),
        IndexModel([("key", ASCENDING)], name="key"),
    ],
    "heads": [],
    "locks": [],
    "audit": [],
    "audit_index": [IndexModel([("tokens", ASCENDING), ("seq", ASCENDING), ("_id", ASCENDING)], name="tokens")],
    "tiles": [],
    "runs": [IndexModel([("w", ASCENDING), ("first", ASCENDING)], name="events", unique=True)],
    "checkpoints": [IndexModel([("size", ASCENDING)], name="size", unique=True)],
    "leases": [],
    "anchors": [],
    "rotations": [],
    "writers": [IndexModel([("open", ASCENDING)], name="open")],
    "photos": [
        IndexModel([("subjects", ASCENDING), ("state", ASCENDING)], name="subjects"),
        IndexModel([("owner", ASCENDING)], name="owner"),
        IndexModel([("state", ASCENDING), ("since", ASCENDING)], name="state"),
    ],
    "attachments": [
        IndexModel([("key", ASCENDING)], name="key"),
        IndexModel([("state", ASCENDING), ("since", ASCENDING)], name="state"),
    ],
    "chunks": [],
    "layouts": [],
    "tasks": [IndexModel([("due", ASCENDING)], name="due")],
    "exports": [
        IndexModel([("client", ASCENDING), ("state", ASCENDING)], name="client"),
        IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0),
    ],
    "export_files": [
        IndexModel([("job", ASCENDING)], name="job"),
        IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0),
    ],
    "subscriptions": [],
    "notifications": [
        IndexModel([("subscription", ASCENDING), ("number", ASCENDING)], name="number", unique=True),
        IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=30 * 86_400),
    ],
    "users": [IndexModel([("token", ASCENDING)], name="token", unique=True)],
    "factor_resets": [],
    "sign_ins": [
        IndexModel([("secret", ASCENDING)], name="secret", unique=True),
        IndexModel([("owner", ASCENDING)], name="owner"),
        IndexModel([("until", ASCENDING)], name="until"),
    ],
    "devices": [
        IndexModel([("owner", ASCENDING), ("seen", ASCENDING)], name="owner"),
        IndexModel([("until", ASCENDING)], name="until"),
    ],
    "attempts": [IndexModel([("until", ASCENDING)], name="until")],
    "spent": [IndexModel([("until", ASCENDING)], name="until")],
    "openings": [IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)],
    "clients": [],
    "grants": [
        IndexModel([("owners", ASCENDING)], name="owners"),
        IndexModel([("code", ASCENDING)], name="code", unique=True, sparse=True),
        IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0),
    ],
    "refresh_tokens": [IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0)],
    "handles": [IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0)],
    "signing_keys": [],
}


RESTORING = "restoring"
"""Is there while a backup is put back: nobody may work on half of it."""


class Collections:
    """The collections of one clinic by name."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.database: AsyncDatabase[Document] = client[database]
        self.resources = self.database["resources"]
        self.history = self.database["history"]
        self.heads = self.database["heads"]
        self.locks = self.database["locks"]
        self.audit = self.database["audit"]
        self.audit_index = self.database["audit_index"]
        self.writers = self.database["writers"]
        self.tiles = self.database["tiles"]
        self.runs = self.database["runs"]
        self.checkpoints = self.database["checkpoints"]
        self.leases = self.database["leases"]
        self.anchors = self.database["anchors"]
        self.rotations = self.database["rotations"]
        self.photos = self.database["photos"]
        self.attachments = self.database["attachments"]
        self.chunks = self.database["chunks"]
        self.layouts = self.database["layouts"]
        self.tasks = self.database["tasks"]
        self.exports = self.database["exports"]
        self.export_files = self.database["export_files"]
        self.subscriptions = self.database["subscriptions"]
        self.notifications = self.database["notifications"]
        self.users = self.database["users"]
        self.factor_resets = self.database["factor_resets"]
        self.sign_ins = self.database["sign_ins"]
        self.devices = self.database["devices"]
        self.attempts = self.database["attempts"]
        self.spent = self.database["spent"]
        self.openings = self.database["openings"]
        self.grants = self.database["grants"]
        self.signing_keys = self.database["signing_keys"]


async def prepare(database: AsyncDatabase[Document], indexes: dict[str, list[IndexModel]]) -> None:
    """Create what is missing: a transaction must not have to. Safe to repeat and to run twice at once."""
    with seam():
        there = set(await database.list_collection_names())
        for name, models in indexes.items():
            if name not in there:
                await _create(database, name)
            if models:
                await database[name].create_indexes(models)


async def require_whole(database: AsyncDatabase[Document]) -> None:
    """Raises UnavailableError where a restore did not come to its end."""
    with seam():
        unfinished = await database[RESTORING].find_one({}, {"_id": 1})
    if unfinished is not None:
        raise UnavailableError("A restore into this database did not end: drop it and its keys, and restore again.")


async def _create(database: AsyncDatabase[Document], name: str) -> None:
    try:
        await database.create_collection(name)
    except CollectionInvalid:
        return  # Another process was faster, and the driver saw it.
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


_NAMESPACE_EXISTS = 48
