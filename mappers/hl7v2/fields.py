"""Data types of v2 that are more than text: times, identifiers, names, addresses, coded values.

HL7 v2.5.1 chapter 2A; the HL7 v2-to-FHIR guide. A time without an offset is in the zone of MSH-7, else in the clinic's.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote
from zoneinfo import ZoneInfo

from mappers.hl7v2.parsing import Parsed, Segment
from mappers.mapping.concept_maps import translated
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import OURS, identifier
from mappers.mapping.instants import local
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables

_TIME = re.compile(
    r"(?P<y>\d{4})(?P<mo>\d{2})?(?P<d>\d{2})?(?:(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})?(?:\.\d{1,4})?)?"
    r"(?P<zone>[+-]\d{4})?"
)
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d{0,20})){1,30}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Zone = timezone | ZoneInfo | None


def zone_of(parsed: Parsed, tables: Tables) -> Zone:
    """MSH-7's offset holds for the whole message (2.A.22)."""
    found = _TIME.fullmatch(parsed.header.text(7) or "")
    return _offset(found["zone"]) if found and found["zone"] else tables.zone


def moment(text: str | None, zone: Zone, what: str) -> datetime | None:
    """To the minute at least: a day alone is no time."""
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None or found["h"] is None:
        raise UnusableError(f"{what} is not a time.")
    wall = f"{found['y']}-{found['mo']}-{found['d']}T{found['h']}:{found['mi']}:{found['s'] or '00'}"
    known = _offset(found["zone"]) if found["zone"] else zone
    try:
        if isinstance(known, timezone):
            return datetime.fromisoformat(wall).replace(tzinfo=known).astimezone(UTC)
    except ValueError:
        raise UnusableError(f"{what} is not a time.") from None
    return local(wall, known, what)


def day(text: str | None) -> str | None:
    """As exact as it was written: year, month or day."""
    found = _TIME.fullmatch(text or "")
    return "-".join(part for part in (found["y"], found["mo"], found["d"]) if part) if found else None


def authority(segment: Segment, repetition: str, component: int, source: str) -> str:
    """The system of an identifier, of its assigning authority: an OID or UUID, else a name within the source."""
    namespace, universal, kind = (segment.part(repetition, component, sub) for sub in (1, 2, 3))
    if universal and _OID.fullmatch(universal):
        return f"urn:oid:{universal}"
    if universal and kind == "UUID" and _UUID.fullmatch(universal.lower()):
        return f"urn:uuid:{universal.lower()}"
    local_name = namespace or universal
    return f"{OURS}:hl7v2:{source}" + (f":{quote(local_name, safe='')}" if local_name else "")


def source_of(parsed: Parsed) -> str:
    """Who sends: facility and application, as a part of a URN."""
    said = (parsed.header.text(4), parsed.header.text(3))
    return ":".join(quote(part, safe="") for part in said if part) or "unknown"


def entity(segment: Segment, number: int, source: str) -> Json | None:
    """EI: an order's or appointment's number."""
    [text, *_] = segment.repetitions(number) or [""]
    value = segment.part(text, 1)
    if value is None:
        return None
    namespace, universal, kind = (segment.part(text, component) for component in (2, 3, 4))
    if universal and kind == "ISO" and _OID.fullmatch(universal):
        return identifier(f"urn:oid:{universal}", value)
    name = f":{quote(namespace, safe='')}" if namespace else ""
    return identifier(f"{OURS}:hl7v2:{source}:{segment.name.lower()}-{number}{name}", value)


def concept(segment: Segment, number: int) -> Json | None:
    """CE, CWE: what it is called, and its code where the table is named by a system that FHIR knows."""
    code, text, system = (segment.text(number, component) for component in (1, 2, 3))
    if code is None and text is None:
        return None
    known = {"LN": "http://loinc.org", "SCT": "http://snomed.info/sct"}.get((system or "").upper())
    found: Json = {"text": text or code}
    if code and known:
        found["coding"] = [{"system": known, "code": code, **({"display": text} if text else {})}]
    return found


def name(segment: Segment, repetition: str) -> Json | None:
    """XPN."""
    family, given, more, suffix, prefix = (segment.part(repetition, component) for component in range(1, 6))
    found: Json = {
        "family": family,
        "given": [part for part in (given, more) if part],
        "prefix": [prefix] if prefix else [],
        "suffix": [suffix] if suffix else [],
    }
    found = {element: value for element, value in found.items() if value}
    return found or None


def telecom(segment: Segment, repetition: str) -> Json | None:
    """XTN: the number as it is written, else the mail address, else put together of its parts."""
    use = translated("v2-0201", segment.part(repetition, 2))
    email = segment.part(repetition, 4)
    area, number = segment.part(repetition, 6), segment.part(repetition, 7)
    phone = segment.part(repetition, 1) or (f"{area or ''}{number}" if number else None)
    if email:
        return {"system": "email", "value": email}
    return {"system": "phone", "value": phone, **({"use": use} if use else {})} if phone else None


def address(segment: Segment, repetition: str) -> Json | None:
    """XAD."""
    street, other, city, state, code, country, kind = (segment.part(repetition, part) for part in range(1, 8))
    found: Json = {
        "use": translated("v2-0190", kind),
        "line": [line for line in (street, other) if line],
        "city": city,
        "state": state,
        "postalCode": code,
        "country": country,
    }
    found = {element: value for element, value in found.items() if value}
    return found if found.keys() - {"use"} else None


def _offset(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[3:5])
    if hours > 14 or minutes > 59:  # noqa: PLR2004  the widest offset there is
        raise UnusableError("A time has an offset that no place has.")
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
