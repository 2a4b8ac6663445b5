"""From a mapping and what the server holds now to the one transaction that makes both true together. Pure.

What is read first is `questions`; `plan` answers with a transaction, or says why there is none.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Lookup
from dataclasses import dataclass, field, replace
from enum import Enum

from mappers.mapping.entries import SUBSETTED
from mappers.mapping.json_text import Json
from mappers.mapping.result import Mapping
from mappers.runtime.looks import Bearers
from mappers.runtime.overlay import first, overlaid
from mappers.runtime.records import Records, replaced


class Lack(Enum):
    """Why a mapping is not written."""

    NOT_THERE = "It changes something that is not here yet."
    GONE = "What it changes was deleted here."
    SEVERAL = "What it changes is here several times."


@dataclass(frozen=True, slots=True)
class Plan:
    """`entries` without the message's own record. `lack`: nothing can be written, and why."""

    entries: tuple[Json, ...] = field(default=(), repr=False)
    lack: Lack | None = None
    waits_for: tuple[str, ...] = ()
    about: str | None = None


def keys(resource: Json) -> list[Json]:
    """By which it is known; an identifier for secondary use may be another's too."""
    own = [one for one in resource["identifier"] if one.get("use") != "secondary"]
    return own or list(resource["identifier"])


def is_part(resource: Json) -> bool:
    return SUBSETTED in resource.get("meta", {}).get("tag", ())


def to_keep(mapping: Mapping) -> list[Json]:
    """Entries that change something, by identifier."""
    return [entry for entry in mapping.bundle.get("entry", ()) if "?" in entry["request"]["url"]]


def claim_ids(resource: Json, records: Records) -> tuple[str, ...]:
    return tuple(records.claim_id(resource["resourceType"], one) for one in keys(resource))


def bearers(resource: Json) -> Bearers:
    """The look for what is there of it now."""
    return Bearers(resource["resourceType"], tuple((one["system"], one["value"]) for one in keys(resource)))


def patients_to_know(mapping: Mapping) -> list[Json]:
    """Entries that make a patient who is not there yet: looked for first, since nearly all of them are."""
    return [
        entry for entry in mapping.bundle.get("entry", ()) if _is_patient(entry) and "ifNoneExist" in entry["request"]
    ]


def person(patient: Json) -> Bearers:
    """The look for who is there already."""
    by = patient["identifier"][0]
    return Bearers("Patient", ((by["system"], by["value"]),), brief=True)


def plan(
    mapping: Mapping,
    found: Sequence[Sequence[Json]],
    claims: frozenset[str],
    records: Records,
    known: Lookup[str, str] | None = None,
) -> Plan:
    """`found`: for each of `to_keep` what the server has. `claims`: ids of those claims that exist.

    `known`: fullUrl of `patients_to_know` -> who is there already.
    """
    done, moved = Plan(), dict(known or {})
    kept = to_keep(mapping)
    for entry, current in zip(kept, found, strict=True):
        done = _joined(done, entry, current, claims, records, moved)
        if done.lack:
            return done
    if kept and not done.entries:
        return done
    pointed = {reference for entry in done.entries for reference in _references(entry["resource"])}
    rest = [entry for entry in mapping.bundle.get("entry", ()) if "?" not in entry["request"]["url"]]
    dropped = set(known or ()) | {
        entry["fullUrl"]
        for entry in rest
        if kept and entry["resource"]["resourceType"] == "Patient" and entry["fullUrl"] not in pointed
    }
    written = {entry.get("fullUrl") for entry in (*done.entries, *rest)} - dropped
    others = (_origin(entry, written) for entry in rest if entry.get("fullUrl") not in dropped)
    entries = [*done.entries, *(entry for entry in others if entry and not _focus(entry) & dropped)]
    return replace(done, entries=tuple(_pointing(entry, moved) for entry in entries), about=_about(entries, moved))


def _joined(
    done: Plan, entry: Json, current: Sequence[Json], claims: frozenset[str], records: Records, moved: dict[str, str]
) -> Plan:
    mapped = entry["resource"]
    part = is_part(mapped)
    if not current:
        if not claims.isdisjoint(claim_ids(mapped, records)[: None if part else 1]):
            return replace(done, entries=(), lack=Lack.GONE)
        if part:
            return replace(done, entries=(), lack=Lack.NOT_THERE, waits_for=claim_ids(mapped, records))
        made = {**entry, "resource": first(mapped), "request": {"method": "POST", "url": mapped["resourceType"]}}
        return replace(
            done, entries=(*done.entries, made, *(records.claim(mapped["resourceType"], one) for one in keys(mapped)))
        )
    if len(current) > 1 and not part:
        return replace(done, entries=(), lack=Lack.SEVERAL)
    entries = list(done.entries)
    for place, one in enumerate(current):
        laid = overlaid(one, mapped, part=part)
        if laid is None or laid == one:
            moved[entry["fullUrl"]] = f"{one['resourceType']}/{one['id']}"
            continue
        known = {(known.get("system"), known.get("value")) for known in one.get("identifier", ())}
        fresh = [] if part else [one for one in keys(mapped) if (one["system"], one["value"]) not in known]
        url = {"fullUrl": entry["fullUrl"]} if place == 0 else {}
        entries += [{**replaced(laid), **url}, *(records.claim(mapped["resourceType"], one) for one in fresh)]
    return replace(done, entries=tuple(entries))


def _origin(entry: Json, changed: set[str | None]) -> Json | None:
    """The provenance of what did change."""
    resource = entry["resource"]
    if resource["resourceType"] != "Provenance":
        return entry
    targets = [one for one in resource["target"] if one["reference"] in changed]
    return {**entry, "resource": {**resource, "target": targets}} if targets else None


def _focus(entry: Json) -> set[str]:
    """Whom a question is about."""
    return {entry["resource"]["focus"]["reference"]} if entry["resource"]["resourceType"] == "Task" else set()


def _about(entries: Sequence[Json], moved: Lookup[str, str]) -> str | None:
    """The patient to whose file the message belongs, if it is one alone."""
    patients = {entry["fullUrl"] for entry in entries if _is_patient(entry)}
    named = {
        moved.get(reference, reference)
        for entry in entries
        for reference in _references(entry["resource"])
        if reference in patients or moved.get(reference, reference).startswith("Patient/")
    }
    found = named or patients
    return next(iter(found)) if len(found) == 1 else None


def _is_patient(entry: Json) -> bool:
    return entry["resource"]["resourceType"] == "Patient" and "fullUrl" in entry


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():
            if name == "reference" and isinstance(child, str):
                yield child
            else:
                yield from _references(child)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _pointing(value: Json, moved: Lookup[str, str]) -> Json:
    """References to an entry that is not written lead to what is there instead."""
    if not moved:
        return value
    return {
        name: moved.get(child, child)
        if name == "reference" and isinstance(child, str)
        else _pointing(child, moved)
        if isinstance(child, dict)
        else [_pointing(item, moved) if isinstance(item, dict) else item for item in child]
        if isinstance(child, list)
        else child
        for name, child in value.items()
    }
