"""What lies in a patient's classes, as retention sees it: when each entry was, and what forbids to erase any of it.

Rows B8, S51. The time of an entry is what R4's search parameters for times find in it; where they find none, it
is when it was last written.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.json import Json
from fhir_server.privacy.erasable import Entry
from fhir_server.privacy.ports import Holding
from fhir_server.search.extract import values_of
from fhir_server.search.registry import parameters_of
from fhir_server.search.types.date import DateValue
from fhir_server.search.types.moment import stretch

RETENTION_SYSTEM = "urn:aesthetic-fhir-server:retention"
"""Of the tags by which a rule is about a resource: `blood-derived`, `mental-health`."""

_TIMES = (
    *("date", "created", "authored", "authoredon", "authored-on", "period", "recorded-date", "onset-date"),
    *("whenhandedover", "sent", "asserted-date", "date-asserted", "effective-time", "effective", "started"),
)
"""The search parameters by which R4's types say when something was: of several, the latest counts."""


def entries(held: Sequence[Holding], now: datetime) -> list[Entry]:
    """The Patient itself and what was deleted tell nothing of care: they count only where a class has nothing else."""
    telling = {holding.record for holding in held if not _is_silent(holding)}
    return [_entry(holding, now) for holding in held if not (_is_silent(holding) and holding.record in telling)]


def birth(patient: Json) -> date | None:
    """The latest day that it may have been."""
    told = patient.get("birthDate")
    found = stretch(told) if isinstance(told, str) else None
    return _day(found.high - 1) if found else None


def _is_silent(holding: Holding) -> bool:
    return holding.stored.deleted or holding.stored.key.type == "Patient"


def _entry(holding: Holding, now: datetime) -> Entry:
    stored = holding.stored
    told = None if stored.deleted else _told(stored.resource, now)
    tags = frozenset() if stored.deleted else _tags(stored.resource)
    return Entry(holding.record, stored.key.type, told or stored.last_updated.date(), tags)


def _told(resource: Json, now: datetime) -> date | None:
    """The latest that it says, and not later than now: what is open has not ended."""
    known = parameters_of(resource["resourceType"]).by_code
    found = values_of(resource, [code for code in _TIMES if code in known])
    ends = [value.high - 1 for values in found.values() for value in values if isinstance(value, DateValue)]
    return _day(min(max(ends), microseconds(now))) if ends else None


def _tags(resource: Json) -> frozenset[str]:
    tags = resource.get("meta", {}).get("tag", [])
    return frozenset(tag["code"] for tag in tags if tag.get("system") == RETENTION_SYSTEM and "code" in tag)


def _day(moment: int) -> date:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).date()
