"""How a truth whose large data lies beside it is sealed: descriptions of that data in front, then the outline.

No client can write such a thing. A truth of what a client sent begins with a brace, put there by this server; this
begins with a byte that no JSON text begins with. And to be read at all, it has to stand under the seal.
"""

import struct

from fhir_server.crypto.keys import KeyId
from fhir_server.engine.attached import Outline, Place
from fhir_server.kernel import json
from fhir_server.store.attachments import Attachment, Attachments

_FRAMED = b"\x01"
_LENGTH = struct.Struct(">I")
_FRONT = len(_FRAMED) + _LENGTH.size


def is_framed(plain: bytes) -> bool:
    return plain.startswith(_FRAMED)


def framed(outline: Outline) -> bytes:
    """`1 | length of the descriptions (4) | descriptions | outline`."""
    descriptions = json.encode([_described(place) for place in outline.places])
    return b"".join((_FRAMED, _LENGTH.pack(len(descriptions)), descriptions, outline.text))


def unframed(plain: bytes, key: KeyId, attachments: Attachments) -> Outline:
    """The outline of what was sealed under a key; its data is under the same."""
    [length] = _LENGTH.unpack_from(plain, len(_FRAMED))
    end = _FRONT + length
    places = [
        Place(one["at"], tuple(one["path"]), attachments.described(one["data"], key))
        for one in json.decode_trusted(plain[_FRONT:end])
    ]
    return Outline(plain[end:], tuple(places))


def _described(place: Place) -> json.Json:
    assert isinstance(place.attached, Attachment), "only what the store sealed is described"
    return {"at": place.at, "path": list(place.path), "data": place.attached.description.as_json()}
