"""Who a resource is: its key, the reference that names it, and where fresh ids come from.

https://hl7.org/fhir/R4/datatypes.html#id
"""

import re
import secrets
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_RELATIVE = re.compile(r"([A-Z][A-Za-z]{0,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?", re.ASCII)

_RANDOM = re.compile(r"[0-9a-f]{32}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

NewId = Callable[[], str]


class ResourceKey(NamedTuple):
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def is_id(text: str) -> bool:
    """True for FHIR's id type: 1 to 64 of `A-Za-z0-9-.`."""
    return ID.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """True for a version that this server could have given: a whole number of at most nine digits."""
    return _VERSION.fullmatch(text) is not None


def parse_reference(text: str) -> ResourceKey | None:
    """`Patient/7` or `Patient/7/_history/2` as a key; None for anything else (absolute, urn:, #fragment, query)."""
    found = _RELATIVE.fullmatch(text)
    return ResourceKey(found[1], found[2]) if found else None


def random_uuid() -> str:
    """A fresh UUID (RFC 9562 version 4), for what has no address of its own."""
    return str(UUID(bytes=secrets.token_bytes(16), version=4))


def random_id() -> str:
    """A fresh logical id: 128 random bits in hexadecimal, so that it says nothing about whom it names."""
    return secrets.token_hex(16)


def is_random_id(text: str) -> bool:
    """True for an id of the form that `random_id` gives."""
    return _RANDOM.fullmatch(text) is not None
