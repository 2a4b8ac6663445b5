"""Step: a subscription is checked when it is written, tells under its writer's rights, and is its writer's alone.

https://hl7.org/fhir/R4/subscription.html#2.46.7 (security): nobody is told of what they could not search and read.
"""

from collections.abc import Callable
from dataclasses import replace

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError, NotFoundError, TooManyRequestsError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.tree import Query
from fhir_server.subscriptions.asked import asked
from fhir_server.subscriptions.holder import held_by, holder_of

MOST_SUBSCRIPTIONS = 50
"""Of one client."""

_ALL = 1_000
_OF_A_CLIENT = frozenset({"requested", "off"})


class Owned(Step):
    """`server` is who acts for the server's duties; `access` says whether the caller may search and read a type.

    `may`: is the caller one that acts by itself? `goes`: is this an endpoint to which the server goes?
    """

    def __init__(
        self,
        server: Principal,
        access: Step,
        store: ResourceStore,
        language: Callable[[], Language],
        may: Callable[[Call], bool],
        goes: Callable[[str], bool],
    ) -> None:
        self._server, self._access, self._store, self._language = server, access, store, language
        self._may, self._goes = may, goes

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Subscription" or call.principal is self._server:
            return change
        before = change.previous
        if before is not None and not before.deleted and not _is_own(call, before.resource):
            raise NotFoundError("There is no resource with this id.")
        if change.resource is None:
            return change
        if not self._may(call) or call.principal.patient:
            raise ForbiddenError("Subscriptions are for services.")
        await self._check(call, change)
        resource = {name: value for name, value in change.resource.items() if name not in {"error", "_error"}}
        return change.with_resource(held_by(call, resource))

    async def _check(self, call: Call, change: Change) -> None:
        resource = change.resource or {}
        if resource.get("status") not in _OF_A_CLIENT:
            raise UnprocessableError(
                "A client asks for `requested` or `off`; `active` and `error` are the server's to say.",
                expression="Subscription.status",
            )
        wanted = asked(resource, self._language(), self._goes)
        for interaction in (Interaction.SEARCH_TYPE, Interaction.READ):
            await self._access.admit(
                replace(call, interaction=interaction, type=wanted.query.type, id=None, operation=None)
            )
        if change.previous is None:
            found = await self._store.find(Query("Subscription"), None, _ALL)
            mine = [one for one in found.matches if _is_own(call, one.resource) and holder_of(one.resource, "")]
            if len(mine) >= MOST_SUBSCRIPTIONS:
                raise TooManyRequestsError(f"A client has at most {MOST_SUBSCRIPTIONS} subscriptions.")

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """Its headers hold what opens the endpoint: other clients are not shown it."""
        if stored.key.type != "Subscription" or stored.deleted or call.principal is self._server:
            return stored
        return stored if _is_own(call, stored.resource) else None


def _is_own(call: Call, resource: Json) -> bool:
    holder = holder_of(resource, "")
    return holder is None or holder.principal.client_id == call.principal.client_id
