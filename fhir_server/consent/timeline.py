"""Pure: from when to when each consent had force, and what stood on a date, told from the versions of the Consents.

Requirements T98, M6: the audit trail of the period in which the patient agreed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from fhir_server.consent.period import span
from fhir_server.consent.provision import purposes
from fhir_server.consent.terms import SUPERSEDED_BY, WITHDRAWN_AT, channels, has, in_force, instants, stands
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Interval:
    """From `begin` up to, not including, `end`; None while it goes on. `why` it ended."""

    consent: ResourceKey
    version: int
    purposes: tuple[str, ...]
    kind: str
    channels: tuple[str, ...]
    begin: datetime
    end: datetime | None
    why: str | None


def intervals(history: Mapping[ResourceKey, Sequence[Stored]], zone: tzinfo = UTC) -> list[Interval]:
    """`history`: each Consent's versions, oldest first. In the order in which they began."""
    found = [one for versions in history.values() for one in _of_one(versions, zone)]
    return sorted(found, key=lambda one: (one.begin, str(one.consent)))


def stood(history: Mapping[ResourceKey, Sequence[Stored]], patient: str, at: datetime) -> tuple[Head, tuple[Json, ...]]:
    """The head row and the consents as they were at an instant."""
    then = [last for versions in history.values() if (last := _last(versions, at)) is not None]
    standing = [one for one in then if not one.deleted and stands(one.resource)]
    head = Head(patient, 0, {one.key: one.version for one in standing})
    return head, tuple(one.resource for one in standing)


def _last(versions: Sequence[Stored], at: datetime) -> Stored | None:
    return next((one for one in reversed(versions) if one.last_updated <= at), None)


def _of_one(versions: Sequence[Stored], zone: tzinfo) -> Iterator[Interval]:
    begun: Stored | None = None
    for one in versions:
        active = not one.deleted and in_force(one.resource)
        if begun is not None and not (active and _says(one) == _says(begun)):
            yield from _interval(begun, *_ending(one), zone)
            begun = None
        if active and begun is None:
            begun = one
    if begun is not None:
        yield from _interval(begun, None, None, zone)


def _interval(begun: Stored, end: datetime | None, why: str | None, zone: tzinfo) -> Iterator[Interval]:
    rule = begun.resource.get("provision")
    rule = rule if isinstance(rule, dict) else {}
    period = rule.get("period", {})
    starts, ends = span(period.get("start"), zone), span(period.get("end"), zone)
    begin = max(begun.last_updated, starts[0]) if starts else begun.last_updated
    if ends is not None and (end is None or ends[1] <= end):
        end, why = ends[1], "expired"
    if end is None or begin < end:
        named = tuple(sorted(one or "*" for one in purposes(rule)))
        where = tuple(sorted(map(str, channels(begun.resource))))
        yield Interval(begun.key, begun.version, named, str(rule.get("type")), where, begin, end, why)


def _ending(one: Stored) -> tuple[datetime, str]:
    if one.deleted:
        return one.last_updated, "deleted"
    if has(one.resource, SUPERSEDED_BY):
        return one.last_updated, "superseded"
    told = [found[0] for text in instants(one.resource, WITHDRAWN_AT) if (found := span(text, UTC)) is not None]
    if told:
        # Whatever an update says, force ended with the commit that ended it.
        return min(max(told), one.last_updated), "withdrawn"
    return one.last_updated, "replaced" if in_force(one.resource) else str(one.resource.get("status"))


def _says(one: Stored) -> object:
    return one.resource.get("provision"), channels(one.resource)
