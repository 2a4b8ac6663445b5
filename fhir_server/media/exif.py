"""Facts in an Exif block: when, with what camera, at which exposure.

CIPA DC-008 (Exif 2.32) section 4.6, in the TIFF 6.0 layout. A block that lies tells nothing; it goes anyway.
"""

from collections.abc import Mapping
from decimal import Decimal

from fhir_server.media.facts import Facts, device_name, settings, when

_HEADER = b"Exif\x00\x00"
_MOST_ENTRIES, _ENTRY = 500, 12
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
_IN_ENTRY = 4
_MAKE, _MODEL, _DATE, _EXIF = 0x010F, 0x0110, 0x0132, 0x8769
_EXPOSURE, _F_NUMBER, _ISO, _TAKEN, _OFFSET = 0x829A, 0x829D, 0x8827, 0x9003, 0x9011
_FOCAL, _WHITE, _FOCAL_35, _LENS = 0x920A, 0xA403, 0xA405, 0xA434
_WHITE_BALANCE = {0: "auto", 1: "manual"}
_LONGEST_TEXT = 200


def exif_facts(block: bytes) -> Facts:
    """From an Exif block, with or without its `Exif` prefix."""
    tiff = block.removeprefix(_HEADER)
    order = {b"II*\x00": "little", b"MM\x00*": "big"}.get(tiff[:4])
    if order is None:
        return Facts()
    reader = _Tiff(tiff, little=order == "little")
    first = reader.directory(reader.number(4, 4))
    inner = reader.directory(reader.whole(first.get(_EXIF)) or 0)
    taken = reader.text(inner.get(_TAKEN)) or reader.text(first.get(_DATE))
    return Facts(
        when(taken, reader.text(inner.get(_OFFSET))),
        device_name(reader.text(first.get(_MAKE)), reader.text(first.get(_MODEL))),
        settings(
            (
                ("exposureTime", "valueDecimal", reader.ratio(inner.get(_EXPOSURE))),
                ("fNumber", "valueDecimal", reader.ratio(inner.get(_F_NUMBER))),
                ("iso", "valuePositiveInt", reader.whole(inner.get(_ISO))),
                ("focalLength", "valueDecimal", reader.ratio(inner.get(_FOCAL))),
                ("focalLength35mm", "valuePositiveInt", reader.whole(inner.get(_FOCAL_35))),
                ("whiteBalance", "valueCode", _WHITE_BALANCE.get(reader.whole(inner.get(_WHITE), least=0) or 0))
                if _WHITE in inner
                else ("whiteBalance", "valueCode", None),
                ("lens", "valueString", device_name(reader.text(inner.get(_LENS))) or None),
            )
        ),
    )


class _Tiff:
    """Values of a TIFF block by where they stand; what lies outside of it is nothing."""

    def __init__(self, data: bytes, *, little: bool) -> None:
        self._data, self._little = data, little

    def number(self, at: int, width: int) -> int:
        return int.from_bytes(self._data[at : at + width], "little" if self._little else "big")

    def directory(self, at: int) -> Mapping[int, tuple[int, int]]:
        """Tag -> type and place of its value; without a directory there, nothing."""
        if not at:
            return {}
        found: dict[int, tuple[int, int]] = {}
        for entry in range(at + 2, at + 2 + min(self.number(at, 2), _MOST_ENTRIES) * _ENTRY, _ENTRY):
            kind, count = self.number(entry + 2, 2), self.number(entry + 4, 4)
            size = _WIDTHS.get(kind, 0) * count
            place = entry + 8 if size <= _IN_ENTRY else self.number(entry + 8, 4)
            if size and place + size <= len(self._data):
                found.setdefault(self.number(entry, 2), (kind, place))
        return found

    def text(self, value: tuple[int, int] | None) -> str:
        if value is None or value[0] != 2:  # noqa: PLR2004  TIFF's number of ASCII
            return ""
        raw = self._data[value[1] : value[1] + _LONGEST_TEXT].partition(b"\x00")[0]
        return raw.decode(errors="ignore").strip()

    def whole(self, value: tuple[int, int] | None, least: int = 1) -> int | None:
        """A short or long number that is at least so much."""
        if value is None or value[0] not in {3, 4}:
            return None
        found = self.number(value[1], _WIDTHS[value[0]])
        return found if least <= found < 1 << 31 else None

    def ratio(self, value: tuple[int, int] | None) -> Decimal | None:
        if value is None or value[0] != 5:  # noqa: PLR2004  TIFF's number of RATIONAL
            return None
        above, below = self.number(value[1], 4), self.number(value[1] + 4, 4)
        return Decimal(f"{round(Decimal(above) / Decimal(below), 6).normalize():f}") if above and below else None
