"""From a request body to a Change that passed every check, ready to commit alone or with others.

https://hl7.org/fhir/R4/http.html#create, #update, #delete
"""

from collections.abc import Mapping
from dataclasses import replace

from fhir_server.engine.call import ANONYMOUS, Call, Interaction, Principal, Trace
from fhir_server.engine.change import Change
from fhir_server.engine.integrity import (
    refuse_log_change,
    refuse_telling_id,
    refuse_telling_subjects,
    require_id,
    require_same,
    require_type,
)
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import subjects
from fhir_server.fhir.subset import refuse_subsetted
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import NoLegalBasisError, NotFoundError, VersionConflictError
from fhir_server.kernel.identity import NewId, ResourceKey, is_random_id
from fhir_server.kernel.json import Json


class Drafts:
    """`base` is the server's FHIR base: a reference may name a patient by an absolute URL under it.

    `server` is who acts for the server's own duties.
    """

    def __init__(
        self, store: ResourceStore, steps: Step, new_id: NewId, base: str, server: Principal = ANONYMOUS
    ) -> None:
        self._store, self._steps, self._new_id, self._base, self._server = store, steps, new_id, base, server

    async def create(self, call: Call, body: object, id: str | None = None) -> Change:
        """`id` is given where a transaction has already promised it."""
        await self._steps.admit(call)
        resource = require_type(body, str(call.type))
        refuse_subsetted(resource)
        validate(resource)
        key = ResourceKey(str(call.type), id or self._new_id())
        return await self._prepared(call, self.of(key, {**resource, "id": key.id}, None, "POST"))

    async def update(
        self,
        call: Call,
        body: object,
        if_match: int | None = None,
        *,
        only_new: bool = False,
        ahead: Mapping[ResourceKey, Stored] | None = None,
    ) -> Change:
        """Raises VersionConflictError where `if_match` is not the current version, or with `only_new` there is one.

        `ahead`: what is there of all that a transaction writes, where that was looked up at once.
        """
        await self._steps.admit(call)
        refuse_log_change(str(call.type))
        resource = require_type(body, str(call.type))
        require_id(resource, str(call.id))
        refuse_subsetted(resource)
        validate(resource)
        key = ResourceKey(str(call.type), str(call.id))
        previous = await self._store.read(key) if ahead is None else ahead.get(key)
        if previous is None or not is_random_id(key.id):
            # What is found in 128 random bits is there by chance, and who updates has no other id to choose.
            refuse_telling_id(resource, key.id)
        await self._require_version(call, if_match, previous)
        if only_new and previous is not None and not previous.deleted:
            raise VersionConflictError("There is a resource with this id already.")
        return await self._prepared(call, self.of(key, resource, previous))

    async def delete(self, call: Call, if_match: int | None = None) -> Change | None:
        """None where there is nothing, or nothing any more."""
        await self._steps.admit(call)
        refuse_log_change(str(call.type))
        key = ResourceKey(str(call.type), str(call.id))
        previous = await self._store.read(key)
        await self._require_version(call, if_match, previous)
        if previous is None or previous.deleted:
            return None
        try:
            return await self._steps.prepare(call, self.of(key, None, previous))
        except NotFoundError:
            # Hidden from this caller: the same answer as for an id that was never used.
            return None

    async def _require_version(self, call: Call, if_match: int | None, previous: Stored | None) -> None:
        """What the caller may not know of has no version for them: a guess tells nothing."""
        if if_match is None:
            return
        try:
            known = await self._steps.disclose(call, previous) if previous else None
        except NoLegalBasisError:
            known = previous
        require_version(if_match, known.version if known else None)

    def of(
        self, key: ResourceKey, resource: Json | None, previous: Stored | None = None, method: str = "PUT"
    ) -> Change:
        """A change that knows whom it is about; a deletion is about those whom the last version named."""
        if resource is None:
            return Change(key, None, previous, previous.subjects if previous else (), "DELETE")
        return Change(key, resource, previous, subjects(resource, self._base), method)

    async def prepared(self, call: Call, change: Change) -> Change:
        """A change that the server drew up itself passes the steps as well."""
        await self._steps.admit(call)
        refuse_log_change(str(call.type))
        if change.resource is not None:
            require_same(change.resource, change.key)
            refuse_subsetted(change.resource)
            validate(change.resource)
        return await self._prepared(call, change)

    async def _prepared(self, call: Call, change: Change) -> Change:
        if change.resource is not None:
            refuse_telling_subjects(change.resource, change.subjects)
        prepared = await self._steps.prepare(call, change)
        if not prepared.along:
            return prepared
        along = [await self._steps.prepare(self._asking(call, one), one) for one in prepared.along]
        return prepared._replace(along=tuple(along))

    def _asking(self, call: Call, brought: Change) -> Call:
        """Who asks for what comes along: the caller, or for a duty the server itself."""
        asking = replace(call, type=brought.key.type, id=brought.key.id)
        if not brought.by_duty:
            return asking
        return replace(asking, principal=self._server, interaction=Interaction.CREATE, operation=None, trace=Trace())


def require_version(if_match: int | None, current: int | None) -> None:
    """412 where the client named another version than the current one (RFC 9110 section 13.1.1)."""
    if if_match is not None and if_match != current:
        raise VersionConflictError("The version in If-Match is not the current one.")
