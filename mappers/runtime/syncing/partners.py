"""Who on the other side is this one? By the copy's own word of what it is a copy of, else by a number of a patient."""

from dataclasses import dataclass

from mappers.fhir_sync.authority import Side
from mappers.fhir_sync.crossing import literal
from mappers.fhir_sync.elements import COPY_OF, origins
from mappers.fhir_sync.people import DOUBTFUL, query, same
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import criteria
from mappers.mapping.json_text import Json
from mappers.runtime.remote import Remote


@dataclass(frozen=True, slots=True)
class Partners:
    sides: dict[Side, Remote]

    def url(self, resource: Json, side: Side) -> str:
        return f"{self.sides[side].base}/{resource['resourceType']}/{resource['id']}"

    async def of(self, resource: Json, side: Side) -> Json | None:
        """UnusableError where it cannot be said who it is."""
        type, there = resource["resourceType"], self.sides[side.other]
        for origin in origins(resource):
            reference = literal(origin, there.base) if origin.startswith(f"{there.base}/") else None
            found = await there.read(reference) if reference else None
            if found is not None:
                return found
        copies = await there.search(f"{type}?{criteria(COPY_OF, self.url(resource, side))}&_count=2")
        if len(copies) > 1:
            raise UnusableError(DOUBTFUL)
        if copies or type != "Patient":
            return copies[0] if copies else None
        asked = query(resource)
        return same(resource, await there.search(asked)) if asked else None
