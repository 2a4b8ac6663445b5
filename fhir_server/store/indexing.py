"""From changes to rows: whose they are, where they lie, by which tokens they are found.

Architecture section 4: `subjects` is every patient that a resource names, directly, through `contained`, or through
the target of a Provenance, Task, Binary or Device.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.engine.change import Change
from fhir_server.engine.integrity import LOG
from fhir_server.fhir.compartments import memberships
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json
from fhir_server.search.extract import compartment_keyword, index_keywords
from fhir_server.search.registry import Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.documents import Row, row
from fhir_server.store.layouts import Layouts
from fhir_server.store.pictured import shows_picture
from fhir_server.store.query_compiler import lock_tokens

_THROUGH_TARGETS = frozenset({"Provenance", "Task", "Binary", "Device"})
_MOST_TARGETS = 200


class Indexing:
    """`base`: the server's own FHIR base, for absolute references to itself."""

    def __init__(self, collections: Collections, layouts: Layouts, base: str) -> None:
        self._rows, self.layouts, self._base = collections.resources, layouts, base

    async def rows(self, changes: Sequence[Change]) -> tuple[Row, ...]:
        await self.layouts.fresh()
        direct = {str(change.key): change.subjects for change in changes}
        rows = [await self._row(change, direct) for change in changes]
        return tuple(self._locked(one) if one.change.condition else one for one in rows)

    def _locked(self, row: Row) -> Row:
        """Whoever writes on the same criteria takes the same locks, whatever else the criteria say."""
        assert row.change.condition is not None
        query = row.change.condition.query
        return row._replace(locks=tuple(token for each in self.layouts.locking() for token in lock_tokens(query, each)))

    async def _row(self, change: Change, direct: dict[str, tuple[str, ...]]) -> Row:
        owners, registry = change.subjects, self.layouts.writing
        if change.resource is None:
            return row(change, change.previous.access if change.previous else (), owners, [], registry.number)
        if change.key.type in _THROUGH_TARGETS and change.kept is None:
            owners = tuple(sorted({*owners, *await self._through_targets(change.resource, direct)}))
        access = memberships(change.resource, self._base)
        if change.key.type == LOG:
            # Events are indexed after they were written (`store.events`): one that cannot be must not get that far.
            index_keywords(change.resource, registry)
            return row(change, access, owners, [], registry.number)
        tokens = self.tokens(change.resource, access, registry)
        made = row(change, access, owners, tokens, registry.number)
        return made._replace(pictured=True) if shows_picture(change.resource, made.truth) else made

    def tokens(self, resource: Json, access: Sequence[str], registry: Registry) -> list[int]:
        """By which a resource is found: its own values, and the patients in whose compartments it lies."""
        type = resource["resourceType"]
        lies_in = [compartment_keyword(type, one) for one in access if one.startswith("Patient/")]
        return self.layouts.tokens(registry, [*index_keywords(resource, registry), *lies_in])

    async def _through_targets(self, resource: Json, direct: dict[str, tuple[str, ...]]) -> set[str]:
        """The patients of what it points at: in the same commit, else as stored."""
        targets = list(dict.fromkeys(_references(resource)))[:_MOST_TARGETS]
        found = {patient for target in targets for patient in direct.get(target, ())}
        elsewhere = [target for target in targets if target not in direct]
        if elsewhere:
            with seam():
                cursor = self._rows.find({"_id": {"$in": elsewhere}}, {"subjects": 1})
                found.update([patient async for document in cursor for patient in document["subjects"]])
        return found


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON is any value
    """Every `Type/id` that a reference anywhere in it names."""
    if isinstance(value, dict):
        text = value.get("reference")
        key = parse_reference(text) if isinstance(text, str) else None
        if key:
            yield str(key)
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)
