"""A NextMotion webhook: a static header, no signature, no time. A hint that something changed, never the change.

The envelope of its body is published nowhere, so nothing is read from it but what the clinic says where it is.
"""

from collections.abc import Mapping

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import decode_object
from mappers.mapping.source import Source

API = "https://api.nextmotion.net/open_api/v4"


def appointment_url(raw: bytes, id_at: str) -> str:
    """Which appointment to fetch. `id_at`: where its id stands in the body, such as `data.id`, as the clinic saw it."""
    source = Source(decode_object(raw))
    *above, last = id_at.split(".")
    for name in above:
        source = source.at(name)
    id = source.need(last)
    if not (id.isascii() and id.replace("-", "").isalnum()):
        raise UnusableError("The id is none.")
    return f"{API}/calendar_appointments/{id}"


def headers(api_key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
