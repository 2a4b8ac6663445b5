"""What a file says of how it was taken, and where in its Media that stands once the file says it no more.

Requirement B2; CIPA DC-008 (Exif 2.32) sections 4.6.5 and 4.6.6. Only what a clinical photograph is judged by is moved;
where it was taken, serial numbers and owners' names are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import EXPOSURE

_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Facts:
    """`taken` has a time zone where the file names one. `exposure`: pairs of a name and `value[x]`."""

    taken: datetime | None = None
    device: str = ""
    exposure: tuple[tuple[str, str, Any], ...] = ()

    def moved_into(self, media: Json, zone: tzinfo) -> Json:
        """The Media with what it did not say already. `zone`: that of the clinic, for a time that names none."""
        found = dict(media)
        if self.taken and not found.keys() & {"createdDateTime", "createdPeriod"}:
            taken = self.taken if self.taken.tzinfo else self.taken.replace(tzinfo=zone)
            found["createdDateTime"] = taken.isoformat(timespec="seconds")
        if self.device and not found.keys() & {"device", "deviceName"}:
            found["deviceName"] = self.device
        told = any(extension.get("url") == EXPOSURE for extension in found.get("extension", []))
        if self.exposure and not told:
            parts = [{"url": name, kind: value} for name, kind, value in self.exposure]
            found["extension"] = [*found.get("extension", []), {"url": EXPOSURE, "extension": parts}]
        return found


def device_name(*parts: str) -> str:
    """Maker and model as one name, printable and short; a model that begins with its maker says it once."""
    clean = [" ".join("".join(letter for letter in part if letter.isprintable()).split()) for part in parts]
    maker, model = (*clean, "", "")[:2]
    joined = model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}"
    return joined.strip()[:_LONGEST_NAME]


def when(text: str, offset: str = "") -> datetime | None:
    """`2026:03:01 10:15:00`, with an offset such as `+01:00` or without; None where it is no time."""
    for form in ("%Y:%m:%d %H:%M:%S", "%Y%m%d%H%M%S"):
        for whole, its in ((f"{text}{offset.replace(':', '')}", f"{form}%z"), (text, form)):
            try:
                return datetime.strptime(whole, its)  # noqa: DTZ007  a camera without a time zone has none to tell
            except ValueError:
                continue
    return None


def settings(values: Sequence[tuple[str, str, Decimal | int | str | None]]) -> tuple[tuple[str, str, Any], ...]:
    """Those that are known."""
    return tuple((name, kind, value) for name, kind, value in values if value is not None)
