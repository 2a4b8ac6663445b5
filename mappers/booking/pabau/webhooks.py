"""A Pabau webhook: no signature that is documented. A hint to look again, on a secret that is part of our own address.

Pabau's API key is a segment of its paths: a URL made here is for the request alone, and is never written anywhere.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

from mappers.mapping.faults import UnusableError
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json

_HOST = "https://api.oauth.pabau.com"
MOST_PER_PAGE = 50
_KEY = re.compile(r"[A-Za-z0-9_-]{16,256}")


def page(api_key: str, listed: str, changed_since: datetime, number: int) -> str:
    if not _KEY.fullmatch(api_key):
        raise UnusableError("The API key is none.")
    query = {"updated_gt": written(changed_since), "per_page": MOST_PER_PAGE, "page": number}
    return f"{_HOST}/{api_key}/{listed}?{urlencode(query)}"


def objects(answer: Json, listed: str) -> Iterator[Json]:
    found = answer.get(listed, [])
    return (item for item in found if isinstance(item, dict)) if isinstance(found, list) else iter(())
