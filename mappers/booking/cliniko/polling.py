"""What to ask Cliniko, and how: three lists, by the time of the last change, with the key that names its own shard.

At most 200 requests a minute; a User-Agent that says who asks is mandatory.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json

LISTS = ("individual_appointments", "individual_appointments/deleted", "individual_appointments/cancelled", "patients")
MOST_PER_PAGE = 100
_SHARD = re.compile(r"-([a-z]{2}\d{1,2})$")


def base(api_key: str) -> str:
    found = _SHARD.search(api_key)
    if found is None:
        raise UnusableError("The API key does not name its shard.")
    return f"https://api.{found[1]}.cliniko.com/v1"


def headers(api_key: str, app: str, email: str) -> Mapping[str, str]:
    basic = b64encode(f"{api_key}:".encode()).decode()
    return {"Authorization": f"Basic {basic}", "Accept": "application/json", "User-Agent": f"{app} ({email})"}


def page(api_key: str, listed: str, changed_since: str) -> str:
    """The first page of what changed; those after it are named by `links.next` of the answer."""
    query = {"q[]": f"updated_at:>={changed_since}", "sort": "updated_at", "per_page": MOST_PER_PAGE}
    return f"{base(api_key)}/{listed}?{urlencode(query)}"


def objects(answer: Json, listed: str) -> Iterator[Json]:
    found = answer.get(listed.partition("/")[0], [])
    return (item for item in found if isinstance(item, dict)) if isinstance(found, list) else iter(())


def next_page(answer: Json, api_key: str) -> str | None:
    """Only an address of the same shard is followed: the key goes with the request."""
    links = answer.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    if following is None:
        return None
    if not isinstance(following, str) or not following.startswith(f"{base(api_key)}/"):
        raise UnusableError("links.next leads elsewhere.")
    return following
