"""When somebody is taken, and nothing else: a feed for other calendars, without a name, a treatment or a lasting id.

RFC 5545 section 3.6.4. As VFREEBUSY, and as events that say "Busy" for calendars that read no other kind.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from icalendar import Calendar, Event, FreeBusy

from mappers.booking.icalendar.writing import PRODUCT
from mappers.mapping.json_text import Json

Period = tuple[datetime, datetime]

_TAKING = frozenset({"booked", "arrived", "checked-in", "pending", "fulfilled"})


def periods(resources: Iterable[Json]) -> list[Period]:
    """Of Appointments that take place and Slots that are taken; those that touch or overlap are one."""
    found = sorted(
        (datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"]))
        for one in resources
        if "start" in one and "end" in one and _takes(one)
    )
    joined: list[Period] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def feed(taken: Iterable[Period], feed_secret: str, written: datetime) -> bytes:
    """`feed_secret`: of this feed alone, so that ids of two feeds cannot be laid side by side."""
    listed = list(taken)
    found = Calendar()
    found.add("PRODID", PRODUCT)
    found.add("VERSION", "2.0")
    found.add("METHOD", "PUBLISH")
    found.add_component(_free_busy(listed, feed_secret, written))
    for start, end in listed:
        event = Event()
        event.add("UID", _opaque(feed_secret, start.astimezone(UTC).isoformat()))
        event.add("DTSTAMP", written.astimezone(UTC))
        event.add("DTSTART", start.astimezone(UTC))
        event.add("DTEND", end.astimezone(UTC))
        event.add("SUMMARY", "Busy")
        event.add("CLASS", "PRIVATE")
        found.add_component(event)
    return bytes(found.to_ical())


def _takes(resource: Json) -> bool:
    if resource["resourceType"] == "Slot":
        return str(resource["status"]).startswith("busy")
    return resource["status"] in _TAKING


def _free_busy(taken: list[Period], feed_secret: str, written: datetime) -> FreeBusy:
    found = FreeBusy()
    found.add("UID", _opaque(feed_secret, "freebusy"))
    found.add("DTSTAMP", written.astimezone(UTC))
    for start, end in taken:
        found.add("FREEBUSY", [(start.astimezone(UTC), end.astimezone(UTC))], {"FBTYPE": "BUSY"})
    return found


def _opaque(feed_secret: str, what: str) -> str:
    return sha256(f"{feed_secret}|{what}".encode()).hexdigest()[:32]
