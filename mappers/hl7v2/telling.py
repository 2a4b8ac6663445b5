"""What a receiver of SIU was told of an appointment, and what it has to be told now.

HL7 v2.5.1 chapter 10: S12 new, S13 moved, S14 changed, S15 cancelled, S17 deleted, S26 did not come. What came from the
receiver itself is not told back to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from mappers.hl7v2.sending import STATUS, Ends, segments
from mappers.mapping.identifiers import OURS
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.mapping.stamps import WHOLE, stamps

_ENDS = {"cancelled": "S15", "noshow": "S26", "entered-in-error": "S17"}


@dataclass(frozen=True, slots=True)
class Told:
    """`number`: by which the receiver knows it. `said`: digest of all that a message says of it."""

    number: str
    version: str
    status: str
    times: tuple[str, str]
    said: str
    stamp: str

    def written(self) -> str:
        return encode({name: getattr(self, name) for name in self.__slots__}).decode()


def read(text: str) -> Told:
    said = decode_object(text.encode())
    return Told(**{**said, "times": tuple(said["times"])})


def told(appointment: Json, number: str) -> Told:
    """How it stands, for whoever knows it as it is."""
    lines = "\r".join(segments({**appointment, "status": "booked"}, number, "S14"))
    return Told(
        number,
        str(appointment["meta"]["versionId"]),
        appointment["status"],
        (str(appointment.get("start", "")), str(appointment.get("end", ""))),
        sha256(lines.encode()).hexdigest(),
        _stamp(appointment),
    )


def number_of(appointment: Json) -> str:
    """The one that it came with, else its id."""
    known = [one["value"] for one in appointment.get("identifier", ()) if one.get("use") != "secondary"]
    return str(known[0] if known else appointment["id"])


def trigger(before: Told | None, appointment: Json) -> str | None:
    """None where there is nothing to say."""
    status = appointment["status"]
    if status not in STATUS:
        return None
    if before is None or before.status in _ENDS:
        return "S12" if status not in _ENDS else None
    now = told(appointment, before.number)
    if status in _ENDS:
        return _ENDS[status]
    if now.times != before.times:
        return "S13"
    return "S14" if (now.said, status) != (before.said, before.status) else None


def outstanding(before: Told | None, versions: Sequence[Json], ends: Ends) -> tuple[Told | None, Json | None]:
    """Of the versions since, oldest first: what the receiver knows by itself, and the last one that it does not."""
    known, last = before, None
    for version in versions:
        if _is_from(version, ends) and _stamp(version) != (known.stamp if known else ""):
            known, last = told(version, known.number if known else number_of(version)), None
        else:
            last = version
    return known, last


def _is_from(appointment: Json, ends: Ends) -> bool:
    """Its messages name the receiver as their sender."""
    application, facility = ends.receiver
    system = f"{OURS}:hl7v2:" + ":".join(quote(part, safe="") for part in (facility, application) if part)
    systems = [str(one.get("system")) for one in appointment.get("identifier", ())]
    return any(one == system or one.startswith(f"{system}:") for one in systems)


def _stamp(appointment: Json) -> str:
    found = stamps(appointment).get(WHOLE)
    return "|".join((str(found.sequence), found.instant, found.tie)) if found else ""
