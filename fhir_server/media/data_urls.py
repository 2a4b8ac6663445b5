"""Pictures written into a `data:` URL: bytes in the place of an address, wherever in a resource text may stand.

RFC 2397. R4 has a place for bytes, `Attachment.data`, which intake and gate look after; this is none.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.formats import LOOKED_AT, recognise

_SCHEME = re.compile("data:", re.IGNORECASE | re.ASCII)
_PICTURES = ("image/", "video/", "model/", "application/dicom")
_LONGEST_TYPE = 100
_BLANKS = b" \t\r\n\f"
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_MOST_LOOKED_AT = LOOKED_AT * 4
"""Every byte may be written `%xx`, and base64 takes a third more again."""
_MOST_URLS = 500
_SMALL = 1 << 20


def refuse_pictures_in_urls(resource: Json, raw: bytes) -> None:
    """422 for the first text in which a `data:` URL holds a picture, or says that it does. `raw`: the same, encoded."""
    if len(raw) <= _SMALL and b"data:" not in raw.lower():
        return
    left = _MOST_URLS
    for text, path in _texts(resource, str(resource.get("resourceType"))):
        comma = -1
        for found in _SCHEME.finditer(text):
            left, start = left - 1, found.end()
            comma = text.find(",", start) if -1 <= comma < start else comma
            if left < 0:
                raise UnprocessableError(f"A resource holds at most {_MOST_URLS} data: URLs.", expression=path)
            if comma >= 0 and _has_picture(text, start, comma):
                raise UnprocessableError("A picture is sent as data of an Attachment, not in a URL.", expression=path)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  JSON is any value
    """Each with its FHIRPath. Large texts are base64 mostly, which has no colon."""
    for step, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(child, str):
            if ":" in child:
                yield child, f"{path}.{step}" if isinstance(step, str) else f"{path}[{step}]"
        elif isinstance(child, dict | list):
            yield from _texts(child, f"{path}.{step}" if isinstance(step, str) else f"{path}[{step}]")


def _has_picture(text: str, start: int, comma: int) -> bool:
    """Does the URL from behind its scheme say that it is a picture, or hold one behind its comma?"""
    if text[start : min(comma, start + _LONGEST_TYPE)].strip().casefold().startswith(_PICTURES):
        return True
    ending = text[max(start, comma - _LONGEST_TYPE) : comma].rstrip().casefold()
    written = text[comma + 1 : comma + 1 + _MOST_LOOKED_AT]
    return _is_picture(written, is_base64=ending.endswith("base64"))


def _is_picture(written: str, *, is_base64: bool) -> bool:
    data = unquote_to_bytes(written)
    if is_base64:
        letters = data.translate(_URL_ALPHABET, _BLANKS).partition(b"=")[0]
        try:
            data = base64.b64decode(letters[: len(letters) // 4 * 4])
        except binascii.Error:
            return True
    found = recognise(data, len(data))
    return found is not None and found.is_photo
