"""Who brought an identifier here first, and who waits for it: one row for both, so that neither misses the other. Pure.

Whoever brings an identifier makes the claim's row and no second one can. Whoever waits for it makes the row first, with
another code: then the claim cannot be made unseen, and whoever makes it looks for those who wait.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mappers.mapping.json_text import Json
from mappers.mapping.matching import is_question
from mappers.runtime.records import AWAITED, Records, replaced


@dataclass(frozen=True, slots=True)
class Claims:
    """`taken`: ids of those that exist. `awaited`: rows of those that somebody waits for."""

    taken: frozenset[str] = frozenset()
    awaited: Mapping[str, Json] = field(default_factory=dict, repr=False)

    def woken(self, entries: Iterable[Json]) -> list[str]:
        """Those somebody waits for, and which these entries bring."""
        return [id for entry in entries if (id := entry["resource"].get("id", "")) in self.awaited]


def claims_of(ids: Sequence[str], rows: Sequence[Json | None]) -> Claims:
    there = {id: row for id, row in zip(ids, rows, strict=True) if row is not None}
    awaited = {id: row for id, row in there.items() if row["code"]["coding"][0]["code"] == AWAITED}
    return Claims(frozenset(there.keys() - awaited.keys()), awaited)


def patient_claims(people: Iterable[Json], records: Records) -> tuple[str, ...]:
    """Of those whom a message makes where they are not there yet."""
    return tuple(records.claim_id("Patient", one["resource"]["identifier"][0]) for one in people)


def with_claims(entries: Sequence[Json], records: Records, known: Claims, *, is_new: bool) -> list[Json]:
    """The same, where each new patient is claimed, and what is awaited is claimed in the place of who waits.

    `is_new`: nothing was said against it so far. Then the claim alone sees to it that a patient is made once, which
    costs the server less than a condition. Who was claimed before and is not there any more is made on condition.
    """
    made = {entry["fullUrl"]: entry["resource"]["identifier"][0] for entry in entries if makes_patient(entry)}
    there = {entry["resource"].get("id") for entry in entries}
    fresh = [records.claim("Patient", by) for by in made.values()]
    fresh = [claim for claim in fresh if claim["resource"]["id"] not in known.taken | there]
    found = [_unconditional(entry) if is_new and _is_of(entry, made) else entry for entry in entries]
    return [_over(entry, known.awaited) for entry in (*found, *fresh)]


def waiting(ids: Sequence[str], records: Records, known: Claims) -> list[Json]:
    """Entries that say that somebody waits; a row that is there is written anew, so that its claim meets this."""
    return [replaced(known.awaited[id]) if id in known.awaited else records.awaited(id) for id in ids]


def makes_patient(entry: Json) -> bool:
    """If nobody is there who is known by that identifier."""
    return entry["resource"]["resourceType"] == "Patient" and "ifNoneExist" in entry["request"]


def _is_of(entry: Json, made: Mapping[str, Json]) -> bool:
    """A new patient, or the question who that is."""
    return entry.get("fullUrl") in made or (is_question(entry) and entry["resource"]["focus"]["reference"] in made)


def _unconditional(entry: Json) -> Json:
    request = {name: value for name, value in entry["request"].items() if name != "ifNoneExist"}
    return {**entry, "request": request}


def _over(entry: Json, awaited: Mapping[str, Json]) -> Json:
    row = awaited.get(entry["resource"].get("id", ""))
    return replaced({**entry["resource"], "meta": row["meta"]}) if row else entry
