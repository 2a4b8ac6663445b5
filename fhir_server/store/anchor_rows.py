"""What each anchor said last. It is no proof by itself: who doubts it asks the anchor.

Port: audit.anchoring.AnchorRows.
"""

from fhir_server.audit.anchoring import Evidence
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam


class AnchorSightings:
    def __init__(self, collections: Collections) -> None:
        self._rows = collections.anchors

    async def last(self, anchor: str) -> Evidence | None:
        with seam():
            found = await self._rows.find_one({"_id": anchor})
        return Evidence(int(found["size"]), found["at"], found["said"]) if found else None

    async def keep(self, anchor: str, evidence: Evidence) -> None:
        row = {"size": evidence.size, "at": evidence.at, "said": evidence.said}
        with seam():
            await self._rows.replace_one({"_id": anchor}, row, upsert=True)
