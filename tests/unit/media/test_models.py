"""Cleaned 3-D models have their shape, and no names."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media import formats
from fhir_server.media.metadata import clean
from tests.unit.media import pictures
from tests.unit.media.pictures import PLACE, exif_segment

TRIANGLE = struct.pack("<12fH", *range(12), 0)
FACET = b" facet normal 0 0 1\n  outer loop\n" + b"   vertex 1.0 -2e3 .5\n" * 3 + b"  endloop\n endfacet\n"


def test_s5_a_binary_stl_loses_its_header() -> None:
    dirty = PLACE.ljust(80) + struct.pack("<I", 2) + TRIANGLE * 2

    assert clean(dirty, formats.STL) == bytes(80) + struct.pack("<I", 2) + TRIANGLE * 2


def test_s5_a_written_stl_loses_its_name() -> None:
    cleaned = clean(b"solid Ana " + PLACE + b"\n" + FACET * 2 + b"endsolid Ana\n", formats.STL)

    assert cleaned == b"solid\n" + FACET[:-1] + b"\n" + FACET[:-1] + b"\nendsolid\n"
    assert clean(cleaned, formats.STL) == cleaned


@pytest.mark.parametrize(
    "bad",
    [b"solid x\nendsolid x\n", b"solid x\n" + FACET, b"solid x\n" + FACET + PLACE + b"\nendsolid", b"x" * 90],
)
def test_an_stl_that_is_none_is_refused(bad: bytes) -> None:
    with pytest.raises(UnprocessableError):
        clean(bad, formats.STL)


def test_s5_an_obj_loses_names_and_comments() -> None:
    dirty = (
        b"# " + PLACE + b"\r\nmtllib ana.mtl\no Ana\nv 1 2 3\r\nvt 0.5 0.5\nvn 0 0 1\n\nf 1/1/1 1//1 1\ns off\ng left"
    )

    assert clean(dirty, formats.OBJ) == b"v 1 2 3\nvt 0.5 0.5\nvn 0 0 1\nf 1/1/1 1//1 1\ns off\n"


def test_an_obj_with_another_line_is_refused() -> None:
    with pytest.raises(UnprocessableError):
        clean(b"v 1 2 3\n<script>", formats.OBJ)


def glb(model: Any, binary: bytes = b"", after: bytes = b"") -> bytes:
    text = json.encode(model)
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I", len(text)) + b"JSON" + text
    if binary:
        binary += bytes(-len(binary) % 4)
        body += struct.pack("<I", len(binary)) + b"BIN\x00" + binary
    return b"glTF\x02\x00\x00\x00" + struct.pack("<I", 12 + len(body)) + body + after


TEXTURE = pictures.jpeg(exif_segment())
MODEL: dict[str, Any] = {
    "asset": {"version": "2.0", "generator": "Ana's phone", "copyright": "Ana"},
    "extensionsUsed": ["KHR_xmp_json_ld", "KHR_materials_unlit"],
    "extensions": {"KHR_xmp_json_ld": {"packets": ["Ana"]}},
    "meshes": [{"name": "Ana", "extras": {"who": "Ana"}, "primitives": [{"attributes": {"POSITION": 0}}]}],
    "buffers": [{"byteLength": 12 + len(TEXTURE)}],
    "bufferViews": [{"buffer": 0, "byteLength": 12}, {"buffer": 0, "byteOffset": 12, "byteLength": len(TEXTURE)}],
    "images": [{"bufferView": 1, "mimeType": "image/jpeg"}],
}


def test_s5_a_glb_loses_names_and_what_its_textures_tell() -> None:
    shape = bytes(range(12))

    cleaned = clean(glb(MODEL, shape + TEXTURE, after=PLACE), formats.GLB)

    assert b"Ana" not in cleaned
    assert PLACE not in cleaned
    assert b"KHR_xmp" not in cleaned
    assert shape + pictures.jpeg() in cleaned
    size = struct.unpack_from("<I", cleaned, 12)[0]
    kept = json.decode(cleaned[20 : 20 + size])
    assert kept["asset"] == {"version": "2.0"}
    assert kept["bufferViews"][1]["byteLength"] == len(pictures.jpeg())
    assert kept["extensionsUsed"] == ["KHR_materials_unlit"]
    assert clean(cleaned, formats.GLB) == cleaned


def test_a_glb_without_a_buffer_is_a_model_as_well() -> None:
    assert clean(glb({"meshes": [{}]}), formats.GLB) == glb({"meshes": [{}]})


def changed(**more: Any) -> bytes:
    return glb({**MODEL, **more}, bytes(12) + TEXTURE)


def stretched(turned: bytes) -> bytes:
    """A texture that grows by cleaning: its Exif block is smaller than the one that would be left."""
    binary = bytes(12) + turned
    views = [MODEL["bufferViews"][0], {"buffer": 0, "byteOffset": 12, "byteLength": len(turned)}]
    return glb({**MODEL, "bufferViews": views}, binary)


TINY_EXIF = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
BAD: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: glb(MODEL, bytes(12) + TEXTURE)[:-1],
    "a buffer beyond the end": lambda: glb(MODEL, bytes(8)).replace(b"\x08\x00\x00\x00BIN", b"\x99\x00\x00\x00BIN"),
    "no JSON": lambda: glb(MODEL).replace(b'{"asset"', b'["asset"'),
    "no model": lambda: glb([]),
    "no meshes": lambda: glb({"meshes": []}),
    "another file": lambda: changed(buffers=[{"uri": "https://drive.example/ana.bin"}]),
    "an image in a data URL": lambda: changed(images=[{"uri": "data:image/png;base64,AAAA"}]),
    "images that are none": lambda: changed(images="many"),
    "a list of no objects": lambda: changed(images=[1]),
    "a view that is not there": lambda: changed(images=[{"bufferView": 7}]),
    "a view beyond the buffer": lambda: changed(bufferViews=[{}, {"byteOffset": 9, "byteLength": 9_999}]),
    "a place that is no number": lambda: changed(bufferViews=[{}, {"byteOffset": "9", "byteLength": 9}]),
    "a texture that is none": lambda: changed(images=[{"bufferView": 0}]),
    "too many textures": lambda: changed(images=[{"bufferView": 1}] * 65),
}


@pytest.mark.parametrize("name", BAD)
def test_a_glb_that_is_not_whole_or_not_alone_is_refused(name: str) -> None:
    with pytest.raises(UnprocessableError):
        clean(BAD[name](), formats.GLB)


def test_a_texture_that_would_grow_is_refused() -> None:
    turned = pictures.jpeg(pictures.segment(0xE1, b"Exif\x00\x00" + TINY_EXIF))
    assert len(clean(turned, formats.JPEG)) > len(turned)

    with pytest.raises(UnprocessableError, match="in its place"):
        clean(stretched(turned), formats.GLB)
