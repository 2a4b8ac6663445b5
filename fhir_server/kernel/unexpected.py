"""A fault of ours: the client gets a reference, the log the place; the message stays unsaid, it may quote data."""

import logging
import traceback

from fhir_server.kernel.errors import FhirError, Issue
from fhir_server.kernel.identity import random_id

_MOST_FRAMES = 12

_log = logging.getLogger("fhir_server.faults")


def unexpected(error: BaseException) -> FhirError:
    """The failure to tell of an exception that nobody foresaw."""
    reference = random_id()
    _log.error("fault %s: %s at %s", reference, type(error).__name__, place_of(error))
    return FhirError(issues=[Issue("exception", f"An unexpected fault. Reference: {reference}")])


def place_of(error: BaseException) -> str:
    """Where it was raised, and on behalf of whom: files, lines and functions, without a value."""
    return " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:])
    )
