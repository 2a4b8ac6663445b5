"""Where in a resource image bytes stand: as an Attachment's data, a Binary's, or any other base64 content.

Architecture section 9: what is an image is told by its bytes, never by its declared type.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import pybase64

from fhir_server.engine.attached import attached_in
from fhir_server.fhir.elements import base64_properties
from fhir_server.kernel import json
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.formats import LOOKED_AT, recognise

_LONG = 64 << 10
_SHORTEST_PHOTO = 64
"""Base64 text below this length holds no picture; codes and signatures pass unread."""


def decoded(text: object, expression: str) -> bytes:
    """The bytes of a base64Binary, which may hold line breaks; 422 where it is not base64."""
    try:
        return pybase64.b64decode(_letters(str(text)), validate=True)
    except binascii.Error:
        raise UnprocessableError("The value is not base64.", expression=expression) from None


def told(resource: Json) -> bytes:
    """The resource as JSON bytes, less its large data: of long text only what could be an address is in it."""
    raw = json.encode(resource)
    return raw if len(raw) <= _LONG else json.encode(_less_data(resource))


def _less_data(value: Any) -> Any:  # noqa: ANN401  JSON is any value
    if isinstance(value, dict):
        return {name: child if name == "url" else _less_data(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_less_data(child) for child in value]
    return "" if isinstance(value, str) and len(value) > _LONG and ":" not in value else value


def may_hide_photo(resource: Json) -> bool:
    """Is there any element that could carry an image? Most resources have none, and every write asks."""
    return may_carry_photo(json.encode(resource))


def may_carry_photo(truth: bytes) -> bool:
    """The same of a resource as JSON bytes."""
    for carrier in _CARRIERS_WRITTEN:  # noqa: SIM110  asked for every hit of a page; a generator takes half as long again
        if carrier in truth:
            return True
    return False


async def shows_photo(resource: Json) -> bool:
    """Do any bytes in it, or of it that lie beside it, make a picture?"""
    if next(hidden_photos(resource, ""), None):
        return True
    for _, attached in attached_in(resource):
        head = b"".join([part async for part in attached.data(0, min(LOOKED_AT, attached.length))])
        found = recognise(head, attached.length)
        if found is not None and found.is_photo:
            return True
    return False


def hidden_photos(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401  JSON is any value
    """FHIRPaths of `data` and `value…Base64Binary` elements whose bytes are an image."""
    if isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, str):
                if name in _CARRIERS and len(child) >= _SHORTEST_PHOTO and _is_photo(child):
                    yield f"{path}.{name}"
            elif isinstance(child, dict | list):
                yield from hidden_photos(child, f"{path}.{name}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from hidden_photos(child, f"{path}[{index}]")


def _written(name: str) -> bytes:
    """What is looked for: all that end alike are found by their end."""
    return f'{_KIND}":"'.encode() if name.endswith(_KIND) else f'"{name}":"'.encode()


def without_pictures(value: Any) -> Any:  # noqa: ANN401  JSON is any value
    """The same with no bytes where a picture stood: what it was, and where, stays known.

    All of its text must be there. https://hl7.org/fhir/R4/extension-data-absent-reason.html
    """
    if isinstance(value, list):
        return [without_pictures(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: without_pictures(child) for name, child in value.items()}
    for name, child in value.items():
        if isinstance(child, str) and name in _CARRIERS and len(child) >= _SHORTEST_PHOTO and _is_photo(child):
            del found[name]
            beside = found.get(f"_{name}", {})
            found[f"_{name}"] = {**beside, "extension": [*beside.get("extension", []), _ABSENT]}
    return found


_ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
_KIND = "Base64Binary"
_CARRIERS = base64_properties() | {"content"}
_CARRIERS_WRITTEN = tuple(sorted({_written(name) for name in _CARRIERS}))


def _is_photo(text: str) -> bool:
    letters = _letters(text)
    try:
        head = base64.b64decode(letters[:_TELLING], validate=True)
    except binascii.Error:
        return False
    found = recognise(head, len(letters) // 4 * 3 - letters[-2:].count(b"="))
    return found is not None and found.is_photo


_TELLING = -(-LOOKED_AT // 3) * 4
"""As many letters as hold the beginning by which a format is told."""


def _letters(text: str) -> bytes:
    """base64 without the blanks and line breaks that R4 allows in it: they would hide what it holds."""
    letters = text.encode(errors="replace")
    return letters.translate(None, _BLANKS) if any(blank in letters for blank in _BLANKS) else letters


_BLANKS = b" \t\r\n"


def carries_photo(resource: Json) -> bool:
    """A Media whose bytes were taken into the vault."""
    url = resource.get("content", {}).get("url", "")
    return resource.get("resourceType") == "Media" and isinstance(url, str) and url.startswith("Binary/")


def photo_id(resource: Json) -> str:
    """The vault's id of the photo that a Media carries."""
    return str(resource["content"]["url"]).removeprefix("Binary/")
