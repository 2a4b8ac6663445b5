"""An image of a NextMotion MediaRecord (API v4), as listed and fetched -> Media, without evidence of a consent.

The server keeps it for care until a consent names it. What `kind` and `media_type` count is published nowhere, nor when
a photograph was taken.
"""

from mappers.booking.nextmotion.files import attachment, opened
from mappers.booking.nextmotion.patients import NAME, REASONS, person
from mappers.mapping.assembly import mapping
from mappers.mapping.entries import once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import IMPORTED, identifier
from mappers.mapping.instants import sortable
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

ASSET = "https://api.nextmotion.net/open_api/v4/media_assets"
_TAKEN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def key(asset: str) -> str:
    return f"{ASSET}|{asset}"


def read(message: Message, tables: Tables) -> Mapping:
    source, data = opened(message.raw)
    record, asset, who = source.at("media_record"), source.at("media_asset"), once(person(source.at("patient")))
    if not asset.at("image"):
        raise UnusableError("It is no image.")
    found: Json = {
        "resourceType": "Media",
        "meta": {"tag": [IMPORTED]},
        "identifier": [identifier(ASSET, asset.need("id")), *_record(record)],
        "status": "completed",
        "subject": {"reference": who["fullUrl"]},
        "content": attachment(data, asset.at("image"), _TAKEN, asset.text("name") or record.text("name")),
    }
    order = Order(0, sortable(message.received))
    losses = source.losses(REASONS)
    return mapping(NAME, message, key(asset.need("id")), order, [who, once(found)], losses, unsure=[who])


def _record(record: Source) -> list[Json]:
    """Several images may be of one record."""
    id = record.text("id")
    return [identifier("https://api.nextmotion.net/open_api/v4/media_records", id, "secondary")] if id else []
