"""What each entry of a transaction will write, once its conditions are looked up; and which references stand for what.

https://hl7.org/fhir/R4/http.html#trules: conditional entries and references are resolved before anything is written.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.engine.bundle_entries import Entry, at_entry
from fhir_server.engine.bundle_links import Links, claimed_id
from fhir_server.engine.bundle_urls import READS
from fhir_server.engine.call import Call
from fhir_server.engine.change import Condition
from fhir_server.engine.criteria import Matched, matching
from fhir_server.engine.integrity import refuse_log_change, refuse_national_number
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.fhir.conditional_references import conditional_references
from fhir_server.fhir.definitions import served_types, why_not_served
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import (
    ConflictError,
    FhirError,
    InvalidRequestError,
    MultipleMatchesError,
    NotFoundError,
    UnprocessableError,
    VersionConflictError,
)
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.match import Candidate, matches
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

_BY_QUERY = re.compile(rb'"reference":"[^"]*\?')


@dataclass(frozen=True, slots=True)
class Planned:
    """`keys`: what the entry writes (several only for a conditional delete). `existing`: it is there, nothing to do."""

    entry: Entry
    keys: tuple[ResourceKey, ...]
    condition: Condition | None = None
    existing: Stored | None = None

    @property
    def key(self) -> ResourceKey:
        return self.keys[0]


class Planning:
    """`delete_several`: a conditional delete may delete more than one."""

    def __init__(self, engine: Engine, new_id: NewId, clock: Clock, *, delete_several: bool) -> None:
        self._engine, self._new_id, self._clock = engine, new_id, clock
        self._delete_several = delete_several

    async def plan(self, call: Call, found: Sequence[Entry]) -> list[Planned]:
        """The writes among the entries, each with its target; the same target twice is 400."""
        planned = []
        for entry in found:
            if entry.method not in READS:
                try:
                    planned.append(await self._planned(call, entry))
                except FhirError as error:
                    raise at_entry(error, entry.index) from error
        _refuse_repeats(planned)
        return planned

    async def links(self, call: Call, planned: Sequence[Planned]) -> Links:
        """What a reference may say, and the reference that it stands for: fullUrls, and conditional references."""
        links = Links.of((one.entry, one.key) for one in planned if one.keys)
        for one in planned:
            try:
                links.refuse_log(one.entry.resource)
                for text in _referred_to(one.entry.resource):
                    if text not in links.absolute:
                        links.absolute[text] = await self._referred(call, text, planned)
            except FhirError as error:
                raise at_entry(error, one.entry.index) from error
        return links

    async def _planned(self, call: Call, entry: Entry) -> Planned:
        if entry.method != "POST" or entry.criteria:
            refuse_log_change(entry.type)
        refuse_national_number(claimed_id(entry, self._engine.language.base), "fullUrl")
        if not entry.criteria:
            key = entry.key or ResourceKey(entry.type, self._new_id())
            return Planned(entry, (key,))
        matched = await self._matched(call, entry.type, entry.criteria)
        match entry.method:
            case "POST":
                existing = matched.only
                key = existing.key if existing else ResourceKey(entry.type, self._new_id())
                return Planned(entry, (key,), matched.condition, existing)
            case "DELETE":
                if len(matched.found) > 1 and not self._delete_several:
                    raise MultipleMatchesError("The criteria match more than one resource.")
                return Planned(entry, tuple(stored.key for stored in matched.found), matched.condition)
            case "PATCH":
                if matched.only is None:
                    raise NotFoundError("Nothing matches the criteria.")
                return Planned(entry, (matched.only.key,), matched.condition)
            case _:
                return Planned(entry, (await self._target(entry, matched),), matched.condition)

    async def _target(self, entry: Entry, matched: Matched) -> ResourceKey:
        """Of a conditional update: the match, else the id that the body brings if it is free, else a fresh one."""
        own = (entry.resource or {}).get("id")
        if matched.only is None and entry.if_match is not None:
            raise VersionConflictError("ifMatch names a version, but nothing matches the criteria.")
        if matched.only is None:
            key = ResourceKey(entry.type, own if isinstance(own, str) else self._new_id())
            if await self._engine.store.read(key) is not None:
                raise ConflictError("Nothing matches the criteria, but there is a resource with the body's id.")
            return key
        if own is not None and own != matched.only.key.id:
            raise InvalidRequestError("The id of the body is not that of the resource that matches.")
        return matched.only.key

    async def _matched(self, call: Call, type: str, criteria: str) -> Matched:
        query = _query(type, criteria, self._engine.language)
        return await matching(self._engine, replace(call, type=type), query)

    async def _referred(self, call: Call, text: str, planned: Sequence[Planned]) -> str:
        """The one resource that a conditional reference means, stored already or brought by this transaction."""
        type, _, criteria = text.partition("?")
        if type not in served_types():
            raise UnprocessableError(f"A conditional reference: {why_not_served(type)}")
        matched = await self._matched(call, type, criteria)
        stored = {found.key for found in matched.found}
        # What is not stored yet lies in no compartment; whether it may be written is asked when it is.
        asked = replace(matched.query, mandates=())
        brought = {one.key for one in planned if self._brings(one, asked)}
        [*keys] = stored | brought
        if len(keys) != 1:
            raise MultipleMatchesError("A conditional reference must match exactly one resource.")
        return str(keys[0])

    def _brings(self, planned: Planned, query: Query) -> bool:
        resource = planned.entry.resource
        if planned.existing or planned.entry.method not in {"POST", "PUT"} or resource is None:
            return False
        if resource.get("resourceType") != query.type:
            return False
        candidate = Candidate(query.type, planned.key.id, self._clock.now(), frozenset(), resource)
        return matches(query, candidate)


def _referred_to(resource: Json | None) -> Iterable[str]:
    """Most resources have none, and a look at the bytes tells; the exact walk costs ten times as much."""
    if not resource or not resource.get("resourceType") or not _BY_QUERY.search(json.encode(resource)):
        return ()
    return conditional_references(resource)


def _query(type: str, criteria: str, language: Language) -> Query:
    return parse(type, parse_qsl(criteria.partition("?")[2] or criteria, keep_blank_values=True), language)


def _refuse_repeats(planned: Sequence[Planned]) -> None:
    """The same identity twice makes the outcome depend on chance: 400."""
    seen: set[ResourceKey] = set()
    marks: set[tuple[str, str]] = set()
    for one in planned:
        if one.existing:
            continue
        mine = set(_marks(one.entry))
        if not seen.isdisjoint(one.keys) or not marks.isdisjoint(mine):
            raise at_entry(InvalidRequestError("The same resource occurs twice in the transaction."), one.entry.index)
        seen.update(one.keys)
        marks |= mine


def _marks(entry: Entry) -> Iterable[tuple[str, str]]:
    """What else names the same resource: a fullUrl, and criteria that nothing met so far."""
    if entry.full_url:
        yield "", entry.full_url
    if entry.criteria:
        yield entry.type, entry.criteria.rpartition("?")[2]
