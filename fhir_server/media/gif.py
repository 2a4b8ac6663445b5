"""GIF without its metadata, byte for byte the same pictures.

GIF89a, sections 17 to 27: comments, captions and what applications add are dropped, but for the loop of an animation.
"""

from collections.abc import Iterator

from fhir_server.kernel.errors import UnprocessableError

MOST_BLOCKS = 100_000
_SIGNATURES = (b"GIF87a", b"GIF89a")
_SCREEN = 13
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_CONTROL, _APPLICATION, _CAPTION = 0xF9, 0xFF, 0x01
_CONTROL_BYTES = 4
_LOOPS = (b"\x0bNETSCAPE2.0\x03\x01", b"\x0bANIMEXTS1.0\x03\x01")
_LOOP_BYTES = 17
_DESCRIPTOR = 10


def clean_gif(data: bytes) -> bytes:
    """The same pictures with their timing, without anything else that speaks, and without what stands after the end.

    Raises UnprocessableError for what is not one whole GIF.
    """
    if not data.startswith(_SIGNATURES) or len(data) < _SCREEN:
        raise UnprocessableError("The GIF does not begin with its signature and screen.")
    first = _SCREEN + _table(data[10])
    kept, control, pictures = [data[:first]], b"", 0
    for kind, block in _blocks(data, first):
        if kind == _IMAGE:
            kept += [control, block]
            control, pictures = b"", pictures + 1
        elif kind == _CONTROL:
            control = block
        elif kind == _CAPTION:
            control = b""  # it was meant for the caption, and would act on the next picture
        elif kind == _APPLICATION and _is_loop(block):
            kept.append(block)
    if not pictures:
        raise UnprocessableError("The GIF holds no picture.")
    return b"".join((*kept, bytes((_TRAILER,))))


def _table(flags: int) -> int:
    """Bytes of a colour table; none where the flag is not set."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_loop(block: bytes) -> bool:
    return len(block) == _LOOP_BYTES + 2 and block[2:].startswith(_LOOPS)


def _blocks(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Each block up to the trailer: an image, or an extension by its label, and all of its bytes."""
    for _ in range(MOST_BLOCKS):
        introducer = data[at : at + 1]
        if introducer == bytes((_TRAILER,)):
            return
        if introducer == bytes((_IMAGE,)) and at + _DESCRIPTOR <= len(data):
            end = _end(data, at + _DESCRIPTOR + _table(data[at + 9]) + 1)
            yield _IMAGE, data[at:end]
        elif introducer == bytes((_EXTENSION,)) and at + 2 <= len(data):
            end = _end(data, at + 2)
            label = data[at + 1]
            if label == _CONTROL and end - at != _CONTROL_BYTES + 4:
                raise UnprocessableError("The GIF has a control block that is none.")
            yield label, data[at:end]
        else:
            raise UnprocessableError("The GIF is cut off, or has a block that is none.")
        at = end
    raise UnprocessableError(f"The GIF has more than {MOST_BLOCKS} blocks.")


def _end(data: bytes, at: int) -> int:
    """Where the chain of sub-blocks ends: behind the empty one."""
    while at < len(data):
        length = data[at]
        at += 1 + length
        if not length:
            return at
    raise UnprocessableError("The GIF is cut off, or a block claims a length that it does not have.")
