"""STL and Wavefront OBJ without names and comments: the same triangles and vertices.

Both are read by line or by triangle and nothing else; a header or comment may hold anybody's name.
"""

import re

from fhir_server.kernel.errors import UnprocessableError

_HEADER, _COUNT, _TRIANGLE = 80, 4, 50
_NUMBER = rb"[ \t]++[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?"
_THREE = rb"(?:" + _NUMBER + rb"){3}"
_FACET = re.compile(
    rb"\s*+facet\s++normal" + _THREE + rb"\s++outer\s++loop(?:\s++vertex" + _THREE + rb"){3}\s++endloop\s++endfacet"
)
_SOLID = re.compile(rb"solid[^\r\n]*+")
_END = re.compile(rb"\s*+endsolid[^\r\n]*+\s*+\Z")
_KEPT = re.compile(
    rb"(?:v|vt|vn|vp)(?:" + _NUMBER + rb"){1,7}[ \t]*|(?:f|l|p)(?:[ \t]++[-0-9/]++)++[ \t]*|s[ \t]++\w++[ \t]*"
)
_GONE = re.compile(rb"(?:#.*|(?:o|g|mtllib|usemtl)(?:[ \t].*)?|[ \t]*)")


def clean_stl(data: bytes) -> bytes:
    """Raises UnprocessableError for what is neither wholly binary nor wholly text."""
    triangles = int.from_bytes(data[_HEADER : _HEADER + _COUNT], "little")
    if triangles and len(data) == _HEADER + _COUNT + triangles * _TRIANGLE:
        return bytes(_HEADER) + data[_HEADER:]
    begin = _SOLID.match(data)
    at = begin.end() if begin else 0
    while found := _FACET.match(data, at):
        at = found.end()
    if begin is None or at == begin.end() or not _END.match(data, at):
        raise UnprocessableError("The STL is cut off, or holds something else than triangles.")
    return b"solid" + data[begin.end() : at] + b"\nendsolid\n"


def clean_obj(data: bytes) -> bytes:
    """Raises UnprocessableError for a line that is no statement of OBJ."""
    kept: list[bytes] = []
    for line in data.split(b"\n"):
        statement = line.removesuffix(b"\r")
        if _KEPT.fullmatch(statement):
            kept.append(statement)
        elif not _GONE.fullmatch(statement):
            raise UnprocessableError("The OBJ has a line that is no statement of a model.")
    return b"\n".join(kept) + b"\n"
