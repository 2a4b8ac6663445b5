"""When a video was taken and with what camera, from its index.

ISO/IEC 14496-12 section 8.2.2 (movie header); QuickTime File Format, Metadata: keys and values.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fhir_server.media.boxes import Box, boxes, only
from fhir_server.media.facts import Facts, device_name

_SINCE = datetime(1904, 1, 1, tzinfo=UTC)
_MOST_SECONDS = 1 << 33
_APPLE = b"com.apple.quicktime."
_TEXT = 1


def video_facts(data: bytearray, moov: Box) -> Facts:
    """What is not there or not readable is left out."""
    told = _told(data, moov)
    camera = device_name(told.get(b"make", ""), told.get(b"model", ""))
    return Facts(_written(told.get(b"creationdate", "")) or _created(data, moov), camera)


def _created(data: bytearray, moov: Box) -> datetime | None:
    header = only(data, moov, b"mvhd")
    if header is None:
        return None
    content = header.of(data)
    seconds = int.from_bytes(content[4:12] if content[:1] == b"\x01" else content[4:8])
    return _SINCE + timedelta(seconds=seconds) if 0 < seconds < _MOST_SECONDS else None


def _written(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _told(data: bytearray, moov: Box) -> Mapping[bytes, str]:
    """Values of Apple's keys. Their `meta` box is no full box, unlike that of ISO."""
    meta = only(data, moov, b"meta")
    keys = only(data, meta, b"keys") if meta else None
    values = only(data, meta, b"ilst") if meta else None
    if keys is None or values is None:
        return {}
    names = [box.of(data) for box in boxes(data, keys.body + 8, keys.end)]
    found: dict[bytes, str] = {}
    for item in boxes(data, values.body, values.end):
        number = int.from_bytes(item.kind)
        value = only(data, item, b"data")
        if value and 1 <= number <= len(names) and names[number - 1].startswith(_APPLE):
            content = value.of(data)
            if int.from_bytes(content[:4]) == _TEXT:
                found[names[number - 1].removeprefix(_APPLE)] = content[8:].decode(errors="ignore")
    return found
