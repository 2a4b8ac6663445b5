"""Step: what a write refers to is there. A photo's and a consent's patient always, everything else by setting.

https://hl7.org/fhir/R4/references.html#literal, https://hl7.org/fhir/R4/http.html#delete (R-FHIR-015).

The look is taken before the commit. Who deletes the target between the two is not hindered, and leaves what a deletion
right after the commit leaves: a reference to something that is gone, which tells so itself (410).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from fhir_server.engine.call import Beside, Call, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import Present, ResourceStore
from fhir_server.fhir.faults import MOST_ISSUES
from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.kernel.errors import ConflictError, Issue, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, is_version, parse_reference
from fhir_server.kernel.json import Json

MayName = Callable[[Call, ResourceKey, Collection[str]], bool]
"""May this caller learn that the resource is there? The last argument is the compartments that it lies in."""

_ALWAYS = {"Media": "subject", "Consent": "patient"}
_OVER = {"Media": frozenset({"entered-in-error"}), "Consent": frozenset({"inactive", "rejected", "entered-in-error"})}
"""A version that ends it is taken all the same: a withdrawal must not fail because a patient's record was deleted."""

_ABOUT_OTHERS = frozenset({"Provenance", "AuditEvent"})
"""They tell what happened to a resource, which may be that it was deleted."""

_MOST_LOOKED_AT = 200


class Named(NamedTuple):
    """One reference to this server. `version` is 0 where it names none, and -1 where it names what never was one."""

    key: ResourceKey
    version: int
    expression: str


class Existence(Step):
    """`base` is the server's own FHIR base. `server` is who acts for its duties: what these write is not asked."""

    def __init__(
        self, store: ResourceStore, base: str, may_name: MayName, server: Principal, *, refuse_missing: bool
    ) -> None:
        self._store, self._base, self._may_name, self._server = store, base, may_name, server
        self._refuse_missing = refuse_missing

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None:
            if self._refuse_missing and call.principal is not self._server:
                await self._require_unreferenced(call.beside or Beside(), change.key)
            return change
        named = [*self._named(call, change.key.type, change.resource)]
        if named:
            # What refers to itself is there once it is committed.
            beside = call.beside or Beside(made=frozenset({change.key}))
            found = await self._found(beside, named)
            missing = [one for one in named if not self._is_there(call, beside, found, one)]
            if missing:
                raise UnprocessableError(issues=[_issue(one.expression) for one in missing[:MOST_ISSUES]])
        return change

    def _named(self, call: Call, type: str, resource: Json) -> Iterator[Named]:
        """What has to be there. By default most writes ask for nothing."""
        if type in _ALWAYS and resource.get("status") not in _OVER[type]:
            yield from self._always(type, resource)
        if self._refuse_missing and call.principal is not self._server:
            yield from self._everywhere(resource)

    def _everywhere(self, resource: Json) -> Iterator[Named]:
        type = str(resource.get("resourceType"))
        if resource.get("status") in _OVER.get(type, ()):
            return
        for steps, text in reference_places(resource):
            if steps != (_ALWAYS.get(type),) and (key := self._key(text)):
                yield Named(key, _version(text), expression_of(resource, steps))

    def _always(self, type: str, resource: Json) -> Iterator[Named]:
        """A patient who is contained is there; one on another server, or named by an identifier alone, is not."""
        reference = resource.get(_ALWAYS[type])
        text = reference.get("reference") if isinstance(reference, dict) else None
        if reference is None or (isinstance(text, str) and text.startswith("#")):
            return
        expression = f"{type}.{_ALWAYS[type]}"
        key = self._key(text) if isinstance(text, str) else None
        if key is None:
            raise UnprocessableError(issues=[_issue(expression)])
        yield Named(key, _version(str(text)), expression)

    async def _found(self, beside: Beside, named: Collection[Named]) -> Mapping[ResourceKey, Present | None]:
        """One look for all; of a transaction with the first of its entries, for all of them."""
        wanted = {one.key for one in named}
        if self._refuse_missing and not beside.foreseen:
            beside.foreseen = True
            wanted |= {one.key for resource in beside.resources for one in self._everywhere(resource)}
        wanted -= beside.found.keys() | beside.made | beside.removed
        if wanted:
            present = await self._store.present(wanted)
            beside.found.update({key: present.get(key) for key in wanted})
        return beside.found

    def _is_there(self, call: Call, beside: Beside, found: Mapping[ResourceKey, Present | None], named: Named) -> bool:
        if named.key in beside.made:
            return named.version >= 0
        present = found.get(named.key)
        if present is None or not 0 <= named.version <= present.version:
            return False
        return self._may_name(call, named.key, present.access)

    async def _require_unreferenced(self, beside: Beside, key: ResourceKey) -> None:
        """409 while others refer to it; what the same transaction deletes or writes anew is judged by itself."""
        aside = beside.made | beside.removed | {key}
        for stored in await self._store.referring(key, _ABOUT_OTHERS, max(_MOST_LOOKED_AT, len(aside) + 1)):
            if stored.key not in aside and self._refers(stored.resource, key):
                raise ConflictError("Other resources refer to it; delete them, or their references, first.")

    def _refers(self, resource: Json, key: ResourceKey) -> bool:
        return any(self._key(text) == key for _, text in reference_places(resource))

    def _key(self, text: str) -> ResourceKey | None:
        return parse_reference(text.removeprefix(f"{self._base}/"))


def _version(text: str) -> int:
    version = text.partition("/_history/")[2]
    return 0 if not version else int(version) if is_version(version) else -1


def _issue(expression: str) -> Issue:
    return Issue("not-found", "There is no such resource on this server, or none that you may see.", expression)
