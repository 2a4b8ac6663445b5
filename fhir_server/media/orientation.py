"""Which way up a picture is: the one thing that is kept of Exif.

CIPA DC-008 (Exif 2.32) section 4.6.4, tag 274, in the TIFF 6.0 layout. A picture loses nothing that it needs by the
rest; without this it would lie on its side.
"""

_ORIENTATION = b"\x01\x12"
_ENTRY = 12
UPRIGHT = 1
_MOST = 8
_HEADER = b"Exif\x00\x00"


def orientation(exif: bytes) -> int:
    """The orientation in an Exif block, with or without its `Exif` prefix: 2 to 8, or 1 for upright and unknown.

    Only the first directory is looked at. A block that lies about itself is as good as none: it is dropped anyway.
    """
    tiff = exif.removeprefix(_HEADER)
    order = _byte_order(tiff[:4])
    if order is None:
        return UPRIGHT
    directory = _number(tiff[4:8], little=order)
    entries = _number(tiff[directory : directory + 2], little=order)
    tag = _ORIENTATION[::-1] if order else _ORIENTATION
    first = directory + 2
    for at in range(first, min(first + entries * _ENTRY, len(tiff) - _ENTRY + 1), _ENTRY):
        if tiff[at : at + 2] == tag:
            value = _number(tiff[at + 8 : at + 10], little=order)
            return value if UPRIGHT <= value <= _MOST else UPRIGHT
    return UPRIGHT


def minimal_exif(value: int) -> bytes:
    """A TIFF block of one directory with one entry: the orientation. 26 bytes, nothing else in it."""
    header = b"MM\x00*\x00\x00\x00\x08"
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes((0, value, 0, 0))
    return header + b"\x00\x01" + entry + bytes(4)


def _byte_order(mark: bytes) -> bool | None:
    """True for little-endian, False for big-endian, None for neither."""
    return {b"II*\x00": True, b"MM\x00*": False}.get(mark)


def _number(raw: bytes, *, little: bool) -> int:
    return int.from_bytes(raw, "little" if little else "big")
