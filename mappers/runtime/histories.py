"""What changed on a FHIR server since an instant, by its history: of each resource the last word, oldest first.

https://hl7.org/fhir/R4/http.html#history. Pages are followed within the server, each once, up to a number of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mappers.mapping.instants import with_offset, written
from mappers.mapping.json_text import Json
from mappers.runtime.faults import SetupError
from mappers.runtime.remote import Remote

_PER_PAGE = 100
_OVERLAP = timedelta(seconds=5)
"""A server may commit a version a little after one that it dated later."""


@dataclass(frozen=True, slots=True)
class Changed:
    """`version`: empty where the server did not say."""

    reference: str
    version: str


@dataclass(frozen=True, slots=True)
class History:
    """What changed, or was deleted. `until`: from when on to ask the next time."""

    changed: tuple[Changed, ...]
    until: str


async def changed(remote: Remote, type: str, since: str, most_pages: int = 2_000) -> History:
    url: str | None = f"{type}/_history?_since={since.replace('+', '%2B')}&_count={_PER_PAGE}"
    found: dict[str, Changed] = {}
    seen: set[str] = set()
    last: datetime | None = None
    while url is not None:
        if url in seen or len(seen) >= most_pages:
            raise SetupError("The history of the other server does not end.")
        seen.add(url)
        page = await remote.page(url)
        for entry in page.get("entry", ()):
            if (reference := _reference(entry, type)) is not None:
                found.setdefault(reference, Changed(reference, _version(entry)))
            if (at := _at(entry)) is not None:
                last = at if last is None else max(last, at)
        url = next((one["url"] for one in page.get("link", ()) if one.get("relation") == "next"), None)
    begun = with_offset(since, "cursor")
    until = begun if last is None else max(begun, last - _OVERLAP)
    return History(tuple(reversed(found.values())), written(until))


def _reference(entry: Json, type: str) -> str | None:
    resource = entry.get("resource")
    if resource is not None and resource.get("resourceType") == type and resource.get("id"):
        return f"{type}/{resource['id']}"
    parts = str(entry.get("request", {}).get("url", "")).split("?")[0].rstrip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 and parts[-2] == type else None


def _version(entry: Json) -> str:
    return str(entry.get("resource", {}).get("meta", {}).get("versionId", ""))


def _at(entry: Json) -> datetime | None:
    text = entry.get("response", {}).get("lastModified") or entry.get("resource", {}).get("meta", {}).get("lastUpdated")
    return with_offset(text, "lastUpdated") if text else None
