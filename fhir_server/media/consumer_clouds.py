"""Links to where photos of patients must not lie: private clouds, file drops, social networks.

Requirements S89, S111, T33: a link makes the record depend on them, and tells that they were used.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json

HOSTS = frozenset(
    {
        *("drive.google.com", "docs.google.com", "photos.google.com", "photos.app.goo.gl", "googleusercontent.com"),
        *("dropbox.com", "dropboxusercontent.com", "db.tt", "icloud.com", "icloud-content.com", "share.icloud.com"),
        *("onedrive.live.com", "1drv.ms", "1drv.com", "mega.nz", "mega.io", "wetransfer.com", "we.tl"),
        *("photos.amazon.com", "imgur.com", "flickr.com", "staticflickr.com", "fbcdn.net", "facebook.com"),
        *("cdninstagram.com", "instagram.com", "web.whatsapp.com", "whatsapp.net", "pinterest.com", "pinimg.com"),
    }
)
"""And everything below them."""


_NAMES = tuple(host.encode() for host in sorted(HOSTS))
_URLS = re.compile(rb'"url":"((?:[^"\\]|\\.)*)', re.DOTALL)


def refuse_consumer_clouds(resource: Json, raw: bytes) -> None:
    """422 for an Attachment that lies there. The address of an extension is no link. `raw`: the same, encoded."""
    urls = _URLS.findall(raw) if b'"url":"' in raw else ()
    if not urls or not _may_lead_there(b"\n".join(urls).lower()):
        return
    for path, url in _links(resource, resource["resourceType"]):
        if _is_below(urlsplit(url).hostname or ""):
            raise UnprocessableError(
                "What belongs to a patient's record does not lie in a private cloud; send the bytes.", expression=path
            )


def _may_lead_there(urls: bytes) -> bool:
    """A host of other letters, or with what an address is rid of, may be read as one of these; so may an escape."""
    return b"\\" in urls or not urls.isascii() or any(name in urls for name in _NAMES)


def _links(value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  JSON is any value
    if isinstance(value, dict):
        for name, child in value.items():
            if name == "url" and isinstance(child, str):
                if "//" in child and not _is_extension(value):
                    yield f"{path}.{name}", _readable(child)
            elif isinstance(child, dict | list) and child:
                yield from _links(child, f"{path}.{name}")
    else:
        for index, child in enumerate(value):
            if isinstance(child, dict | list):
                yield from _links(child, f"{path}[{index}]")


def _is_extension(value: dict[str, Any]) -> bool:
    return any(name == "extension" or name.startswith("value") for name in value)


def _readable(url: str) -> str:
    """What cannot be taken apart leads nowhere."""
    try:
        urlsplit(url)
    except ValueError:
        return ""
    return url


def _is_below(host: str) -> bool:
    parts = host.rstrip(".").casefold().split(".")
    return any(".".join(parts[start:]) in HOSTS for start in range(len(parts)))
