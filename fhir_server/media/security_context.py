"""Step: a Binary that names a security context is shown, and changed, by whoever may see that other resource.

https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext: it stands in for the Binary, which tells of
nobody, when access is decided.
"""

from dataclasses import replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import NotFoundError
from fhir_server.kernel.identity import parse_reference

_MOST_STEPS = 4
"""A Binary may stand in for another; where that goes on, or round in a circle, there is nobody to ask."""


class SecurityContext(Step):
    """`steps` decide on the other resource: scope, compartment, legal basis. `base` is the server's own FHIR base."""

    def __init__(self, store: ResourceStore, steps: Step, base: str) -> None:
        self._store, self._steps, self._base = store, steps, base

    async def prepare(self, call: Call, change: Change) -> Change:
        """On the stored version: whom it is hidden from finds nothing to change."""
        if change.key.type == "Binary" and change.previous and not await self._may(call, change.previous):
            raise NotFoundError("There is no resource with this id.")
        return change

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        return stored if await self._may(call, stored) else None

    async def _may(self, call: Call, stored: Stored, left: int = _MOST_STEPS) -> bool:
        reference = None if stored.deleted or stored.key.type != "Binary" else _context(stored)
        if reference is None:
            return True
        key = parse_reference(reference.removeprefix(f"{self._base}/"))
        other = await self._store.read(key) if key and left else None
        if other is None or other.deleted:
            # There is nobody to ask: then it is a matter between back ends.
            return any(scope.startswith("system/") for scope in call.principal.scopes)
        asked = replace(call, interaction=Interaction.READ, type=other.key.type, id=other.key.id, version=None)
        seen = await self._steps.disclose(asked, other)
        return seen is not None and await self._may(call, other, left - 1)


def _context(stored: Stored) -> str | None:
    """None without any; what names nobody by a reference, such as an identifier alone, leads nowhere."""
    context = stored.resource.get("securityContext")
    return None if context is None else str(context.get("reference", ""))
