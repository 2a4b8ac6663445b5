"""The SearchParameters of a clinic that are to take part, and why some do not.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Mapping

from fhir_server.search.custom import MOST, taken
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.opening import Opening

_MOST_STORED = 5 * MOST


class Definitions:
    def __init__(self, collections: Collections, opening: Opening) -> None:
        self._resources, self._opening = collections.resources, opening

    async def active(self) -> tuple[tuple[tuple[str, int], ...], Mapping[str, str]]:
        """Id and version of each that takes part; id and reason of each that does not."""
        with seam():
            cursor = self._resources.find({"type": "SearchParameter", "deleted": False}, UNSEARCHED, hint="changes")
            found = await cursor.to_list(_MOST_STORED)
        opened = [each for each in await self._opening.rows(found) if each.resource.get("status") == "active"]
        active = opened[:MOST]
        problems = taken([each.resource for each in active]).problems
        problems = {**problems, **{each.key.id: f"only {MOST} take part" for each in opened[MOST:]}}
        return tuple(sorted((each.key.id, each.version) for each in active if each.key.id not in problems)), problems
