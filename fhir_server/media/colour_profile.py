"""A colour profile without its words: whose screen it was made for, by whom, and with which serial number.

ICC.1:2022 section 7 (header, tag table) and 9.2 (tags). The tags that a colour is computed from stay byte for byte and
in their place, so a profile keeps its length; texts that a profile must have become empty ones.
"""

from collections.abc import Sequence

_HEADER, _ENTRY, _MOST_TAGS = 132, 12, 100
_SIGNATURE, _MADE_OF = slice(36, 40), ((48, 56), (80, 128))
"""Whose device, who made it, the digest of what it was before, and what is reserved."""
_COLOUR = frozenset(
    b"rXYZ gXYZ bXYZ wtpt bkpt rTRC gTRC bTRC kTRC chad chrm cicp lumi gamt A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 D2B0 D2B1"
    b" D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 pre0 pre1 pre2".split()
)
_EMPTY = {b"mluc": b"mluc" + bytes(8) + b"\x00\x00\x00\x0c", b"desc": b"desc" + bytes(7) + b"\x01", b"text": b"text"}
_JPEG = b"ICC_PROFILE\x00"


def clean_profile(profile: bytes) -> bytes | None:
    """None for what is no profile: colours do not hang on it, and anything may stand in it."""
    size = int.from_bytes(profile[:4])
    table = _HEADER + _ENTRY * int.from_bytes(profile[_HEADER - 4 : _HEADER])
    whole = _HEADER <= table <= size <= len(profile) and table <= _HEADER + _ENTRY * _MOST_TAGS
    if not whole or profile[_SIGNATURE] != b"acsp":
        return None
    kept = bytearray(profile[:table].ljust(len(profile), b"\x00"))
    for at in range(_HEADER, table, _ENTRY):
        begin, length = int.from_bytes(profile[at + 4 : at + 8]), int.from_bytes(profile[at + 8 : at + 12])
        end = begin + length
        if begin < table or end > size:
            return None
        said = profile[begin:end]
        if profile[at : at + 4] in _COLOUR:
            kept[begin:end] = said
        elif (empty := _EMPTY.get(said[:4])) and not any(kept[begin:end]):
            kept[begin:end] = empty[:length].ljust(length, b"\x00")
    for begin, end in _MADE_OF:
        kept[begin:end] = bytes(end - begin)
    return bytes(kept)


def clean_profile_segments(segments: Sequence[bytes]) -> list[bytes]:
    """The same of a profile in the APP2 segments of a JPEG (ICC.1 Annex B.4): each payload anew; none where it is none.

    Each says which it is and of how many.
    """
    head = len(_JPEG) + 2
    numbers = [segment[len(_JPEG) : head] for segment in segments]
    if numbers != [bytes((place, len(segments))) for place in range(1, len(segments) + 1)]:
        return []
    cleaned = clean_profile(b"".join(segment[head:] for segment in segments))
    if cleaned is None:
        return []
    found, at = [], 0
    for segment in segments:
        length = len(segment) - head
        found.append(segment[:head] + cleaned[at : at + length])
        at += length
    return found
