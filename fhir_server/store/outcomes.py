"""How the transaction of a group can end without a commit, and what that means for the group.

sealed-storage section 4; https://www.mongodb.com/docs/manual/core/transactions-production-consideration/.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from fhir_server.kernel.errors import FhirError, StaleVersionError, UnavailableError
from fhir_server.store.connection import is_duplicate


class TransientError(Exception):
    """The transaction met another one; nothing was written, and it may be tried again as it is."""


class OutageError(UnavailableError):
    """The database cannot be reached, whatever is to be written: nothing was, and no part of it would fare better."""


class UnknownOutcomeError(UnavailableError):
    """The connection was lost while committing, for longer than we wait: it may have been written or not."""


@contextmanager
def telling_outage() -> Iterator[None]:
    """Inside, a database that cannot be reached is an OutageError, whoever asked it."""
    try:
        yield
    except UnavailableError as error:
        if isinstance(error.__cause__, ConnectionFailure):
            raise OutageError("The database cannot be reached; nothing was written.") from error
        raise


def explained(error: PyMongoError) -> Exception:
    """What a fault of the database means for the group."""
    if isinstance(error, ConnectionFailure):
        return OutageError("The database cannot be reached; nothing was written.")
    if error.has_error_label("TransientTransactionError"):
        return TransientError()
    if isinstance(error, BulkWriteError) and is_duplicate(error):
        return StaleVersionError("A resource with this id was created in the meantime.")
    if isinstance(error, FhirError):
        return error
    return error
