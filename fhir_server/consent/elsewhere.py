"""Pictures that stand elsewhere than in a Media: in a DocumentReference, a Binary, a Patient, something contained.

Architecture section 9: any element whose bytes are a picture is a photo; same gate. It is of every patient whom the
resource names, or whom that names which stands in for a Binary.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from fhir_server.consent.matter import PROOF_TYPES, is_evidence, is_photo
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.fhir.subset import masked
from fhir_server.kernel import json
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

_EVIDENCE = PROOF_TYPES - {"Task"}
_MOST_STEPS = 4


class Elsewhere:
    """`carries(truth)`: can these bytes of a resource hold a picture at all? `shows(resource)`: does it?"""

    def __init__(
        self,
        store: ResourceStore,
        base: str,
        carries: Callable[[bytes], bool],
        shows: Callable[[Json], Awaitable[bool]],
    ) -> None:
        self._store, self._base, self._carries, self._shows = store, base, carries, shows

    async def seen_in(self, stored: Stored) -> bool:
        if stored.deleted or stored.key.type in _EVIDENCE or not self._carries(stored.truth):
            return False
        return await self.stands_in(stored.resource)

    async def comes_in(self, resource: Json) -> bool:
        """The same of what is to be written: most of it has nothing that could hold one."""
        return self._carries(json.encode(resource)) and await self.stands_in(resource)

    async def stands_in(self, resource: Json) -> bool:
        if is_evidence(resource):
            return False
        own = "content" if is_photo(resource) else None
        return await self._shows({name: value for name, value in resource.items() if name != own})

    async def patients(self, resource: Json, named: Collection[str]) -> list[str]:
        """Of whom such a picture is."""
        found = {*named}
        for _ in range(_MOST_STEPS):
            text = resource.get("securityContext", {}).get("reference")
            key = parse_reference(str(text).removeprefix(f"{self._base}/"))
            other = await self._store.read(key) if key else None
            if other is None or other.deleted:
                break
            found.update(other.subjects)
            resource = other.resource
        return sorted(found)

    async def without(self, stored: Stored) -> Stored:
        """The same version less the elements in which a picture stands."""
        gone = await self.elements(stored.resource)
        shown = masked(stored.resource, lambda name: name not in gone, lambda _: frozenset())
        return replace(stored.showing(shown), masked_from=stored)

    async def elements(self, resource: Json) -> dict[str, object]:
        """Those in which one stands."""
        type = resource["resourceType"]
        return {
            name: value for name, value in resource.items() if await self._shows({"resourceType": type, name: value})
        }
