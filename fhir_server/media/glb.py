"""A binary glTF model without what it tells besides its shape and surface.

glTF 2.0 sections 3.2 to 3.9 and 4.4 (GLB). Names, extras, copyright, generator and metadata extensions go; the textures
inside are pictures and are cleaned like any other; nothing may lie in another file.
"""

from collections.abc import Callable
from typing import Any

from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.formats import recognise

_HEADER, _CHUNK = 12, 8
_JSON, _BIN = b"JSON", b"BIN\x00"
_GONE = frozenset({"extras", "name", "generator", "copyright"})
_METADATA = "KHR_xmp"
_MOST_IMAGES = 64


def clean_glb(data: bytes, clean: Callable[[bytes], bytes]) -> bytes:
    """`clean` takes the metadata out of a texture, or raises. Raises UnprocessableError for what is no whole GLB."""
    described, held = _chunks(data)
    try:
        model = json.decode(described)
    except FhirError:
        raise UnprocessableError("The GLB has no description that can be read.") from None
    if not isinstance(model, dict) or not model.get("meshes"):
        raise UnprocessableError("The GLB holds no model.")
    model = _stripped(model)
    _refuse_elsewhere(model)
    binary = bytearray(held)
    _clean_textures(model, binary, clean)
    written = json.encode(model)
    written += b" " * (-len(written) % 4)
    body = len(written).to_bytes(4, "little") + _JSON + written
    if binary:
        binary += bytes(-len(binary) % 4)
        body += len(binary).to_bytes(4, "little") + _BIN + binary
    return b"glTF\x02\x00\x00\x00" + (_HEADER + len(body)).to_bytes(4, "little") + body


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """The description and the one buffer. Whatever stands after them is no part of the model."""
    length = int.from_bytes(data[8:12], "little")
    first = int.from_bytes(data[_HEADER : _HEADER + 4], "little")
    at = _HEADER + _CHUNK + first
    if length > len(data) or data[_HEADER + 4 : _HEADER + _CHUNK] != _JSON or at > length:
        raise UnprocessableError("The GLB is cut off, or claims a length that it does not have.")
    described = data[_HEADER + _CHUNK : at]
    if data[at + 4 : at + _CHUNK] != _BIN or at + _CHUNK > length:
        return described, b""
    size = int.from_bytes(data[at : at + 4], "little")
    if at + _CHUNK + size > length:
        raise UnprocessableError("The GLB is cut off, or claims a length that it does not have.")
    return described, data[at + _CHUNK : at + _CHUNK + size]


def _stripped(value: Any) -> Any:  # noqa: ANN401  JSON is any value
    if isinstance(value, dict):
        return {
            name: _stripped(child)
            for name, child in value.items()
            if name not in _GONE and not name.startswith(_METADATA)
        }
    if isinstance(value, list):
        return [_stripped(child) for child in value if not (isinstance(child, str) and child.startswith(_METADATA))]
    return value


def _refuse_elsewhere(model: Json) -> None:
    for part in (*_listed(model, "buffers"), *_listed(model, "images")):
        if "uri" in part:
            raise UnprocessableError("The model refers to another file; send one GLB with everything inside.")


def _listed(model: Json, name: str) -> list[Json]:
    found = model.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UnprocessableError("The GLB has no description that can be read.")
    return found


def _clean_textures(model: Json, binary: bytearray, clean: Callable[[bytes], bytes]) -> None:
    """In their place: a texture that is shorter now leaves zeros behind."""
    views, images = _listed(model, "bufferViews"), _listed(model, "images")
    if len(images) > _MOST_IMAGES:
        raise UnprocessableError(f"The model has more than {_MOST_IMAGES} textures.")
    for view in {one.get("bufferView") for one in images}:
        if not isinstance(view, int) or not 0 <= view < len(views):
            raise UnprocessableError("A texture of the model is not inside the file.")
        start, length = views[view].get("byteOffset", 0), views[view].get("byteLength", 0)
        if not isinstance(start, int) or not isinstance(length, int) or not 0 <= start <= start + length <= len(binary):
            raise UnprocessableError("A texture of the model is not inside the file.")
        found = recognise(bytes(binary[start : start + length]))
        if found is None or found.media_type not in {"image/jpeg", "image/png"}:
            raise UnprocessableError("A texture of the model is neither JPEG nor PNG.")
        cleaned = clean(bytes(binary[start : start + length]))
        if len(cleaned) > length:
            raise UnprocessableError("A texture of the model cannot be cleaned in its place.")
        binary[start : start + length] = cleaned + bytes(length - len(cleaned))
        views[view]["byteLength"] = len(cleaned)
