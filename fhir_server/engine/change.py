"""One write as one value. The store commits all of it or none of it.

GDPR Art. 7(3), 9(2): what a photo rests on is part of the write that stores it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias

from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.tree import Query


@dataclass(frozen=True, slots=True)
class ConsentBasis:
    """The exact version of a Consent that a use relies on, and the patient's epoch that the decision saw.

    The commit fails when that epoch is no longer the current one.
    """

    consent: ResourceKey
    version: int
    patient: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.consent}/_history/{self.version}"


@dataclass(frozen=True, slots=True)
class CareBasis:
    """Care under professional secrecy (GDPR Art. 9(2)(h) with 9(3)), by a rule of the clinic's jurisdiction.

    `silent`: the rule for whatever is no photo; the log does not repeat it with every access.
    """

    rule: str
    patient: str
    epoch: int
    silent: bool = False

    def __str__(self) -> str:
        return f"care:{self.rule}"


@dataclass(frozen=True, slots=True)
class LegalObligation:
    """A duty of the controller, such as to let people see their own file (GDPR Art. 15)."""

    rule: str
    patient: str
    epoch: int

    def __str__(self) -> str:
        return f"obligation:{self.rule}"


LegalBasis: TypeAlias = ConsentBasis | CareBasis | LegalObligation


@dataclass(frozen=True, slots=True)
class HeadMove:
    """A version of a Consent comes into force for its patient, or leaves force: the head row follows in the commit."""

    patient: str
    consent: ResourceKey
    version: int
    in_force: bool


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The commit fails unless this patient's epoch is still the one a decision saw."""

    patient: str
    epoch: int


@dataclass(frozen=True, slots=True)
class BlobMove:
    """A photo's bytes change state with the commit; exactly one row must be in `before`, or nothing happens."""

    photo: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What these keys seal is gone with the commit: a tombstone that names nobody, no earlier version, no photo."""

    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """The commit fails unless exactly these resources match the query at that instant.

    `query` carries the mandates of the caller: a condition does not tell of what its caller may not see.
    """

    query: Query
    expected: frozenset[ResourceKey]


class AuditEntry(Protocol):
    """What happened, before it has a number. `grant`: that of the token it was done with; empty for the server itself.

    What relies on a grant is neither written nor answered once that has ended.
    """

    @property
    def grant(self) -> str: ...

    def event(self, event_id: str, recorded: datetime) -> bytes:
        """The AuditEvent as JSON bytes."""
        ...


class Kept(NamedTuple):
    """Which version it was elsewhere, and when: a migration keeps both. `seq` is its lastUpdated in microseconds."""

    version: int
    seq: int


class Change(NamedTuple):
    """The next version of one resource and everything that belongs to it.

    `resource` is None for a deletion. `previous` is what was read; the commit fails unless it is still current.
    `subjects`: ids of the patients that the resource itself names. `method`: the HTTP verb by which its history tells
    of it. `along`: what this change makes of other resources, in the same commit. `author`: who writes it; sealed with
    the version. `by_duty`: brought along by a duty of the server itself, whatever the caller may write. `kept`: of a
    migration; then `subjects` are all the patients whom it concerned where it came from. `filed`: of a photo that is
    filed anew, when it was first. `derived`: a photo that the server made of others: none is taken.
    """

    key: ResourceKey
    resource: Json | None
    previous: Stored | None = None
    subjects: tuple[str, ...] = ()
    method: str = "PUT"
    basis: LegalBasis | None = None
    condition: Condition | None = None
    unmoved: tuple[Unmoved, ...] = ()
    heads: tuple[HeadMove, ...] = ()
    blobs: tuple[BlobMove, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    tasks: tuple[Task, ...] = ()
    along: "tuple[Change, ...]" = ()
    erasures: tuple[Erasure, ...] = ()
    author: str = ""
    by_duty: bool = False
    kept: Kept | None = None
    filed: datetime | None = None
    derived: bool = False

    @property
    def version(self) -> int:
        """1 for the first; a deletion is a version as well."""
        if self.kept:
            return self.kept.version
        return self.previous.version + 1 if self.previous else 1

    @property
    def content(self) -> Mapping[str, Any]:
        """The new resource, or for a deletion what it was: that is what the change is about."""
        if self.resource is not None:
            return self.resource
        return self.previous.resource if self.previous else {"resourceType": self.key.type}

    def with_resource(self, resource: Json) -> "Change":
        return self._replace(resource=resource)

    def written_by(self, author: str) -> "Change":
        return self._replace(author=author)

    def on_condition(self, condition: Condition) -> "Change":
        return self._replace(condition=condition)

    def relying_on(self, basis: LegalBasis) -> "Change":
        return self._replace(basis=basis)

    def moving_head(self, move: HeadMove) -> "Change":
        return self._replace(heads=(*self.heads, move))

    def moving_blob(self, move: BlobMove) -> "Change":
        return self._replace(blobs=(*self.blobs, move))

    def only_if(self, unmoved: Unmoved) -> "Change":
        return self._replace(unmoved=(*self.unmoved, unmoved))

    def recording(self, *entries: AuditEntry) -> "Change":
        return self._replace(audit=(*self.audit, *entries))

    def bringing(self, *along: "Change") -> "Change":
        return self._replace(along=(*self.along, *along))

    def erasing(self, erasure: Erasure) -> "Change":
        return self._replace(erasures=(*self.erasures, erasure))

    def queueing(self, task: Task) -> "Change":
        return self._replace(tasks=(*self.tasks, task))


def spread(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes in their order, then what they bring along. What is asked for itself wins over what comes along."""
    found = {change.key: change for each in reversed(changes) for change in each.along}
    asked = {change.key for change in changes}
    return (*changes, *(change for key, change in found.items() if key not in asked))
