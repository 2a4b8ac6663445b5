"""Relations of Cliniko are links: what they lead to is known by the collection's URL and the id at its end."""

import re

from mappers.mapping.faults import UnusableError
from mappers.mapping.source import Source

_LINK = re.compile(r"(https://api\.[a-z0-9]{2,6}\.cliniko\.com/v1/[a-z_]{1,64})/(\d{1,24})")
_SELF = re.compile(r"(https://api\.[a-z0-9]{2,6}\.cliniko\.com/v1)/")


def linked(source: Source, name: str) -> tuple[str, str] | None:
    """System and value of an identifier; None where there is no link."""
    url = source.at(name).at("links").text("self")
    if url is None:
        return None
    found = _LINK.fullmatch(url)
    if found is None:
        raise UnusableError(f"{name}.links.self is not a link of Cliniko's.")
    return found[1], found[2]


def own(source: Source, collection: str) -> tuple[str, str]:
    """By its own link and `id`: shards count each for itself."""
    url = source.at("links").text("self") or ""
    found = _SELF.match(url)
    if found is None:
        raise UnusableError("links.self is not a link of Cliniko's.")
    return f"{found[1]}/{collection}", source.need("id")
