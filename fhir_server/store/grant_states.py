"""Which grants still hold: looked up once for all calls that are recorded or committed together; and their ends.

Architecture section 6: nothing that arrives after a revocation was acknowledged is served, in any process. A grant
that is not there does not hold.
"""

from collections.abc import Collection, Mapping

from fhir_server.kernel.errors import EndedTokenError
from fhir_server.smart.grant import FACTOR_REMOVED
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.grant_rows import ENDED, LIVE


def ended_token(reason: str) -> EndedTokenError:
    return EndedTokenError(stronger=reason == FACTOR_REMOVED)


class GrantStates:
    def __init__(self, collections: Collections) -> None:
        self._rows = collections.grants

    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        """Those of them that do not hold, with the reason where one is known."""
        if not ids:
            return {}
        with seam():
            cursor = self._rows.find({"_id": {"$in": list(ids)}}, {"state": 1, "reason": 1})
            found = {row["_id"]: row for row in await cursor.to_list()}
        return {
            id: found[id].get("reason", "") if id in found else ""
            for id in ids
            if id not in found or found[id]["state"] != LIVE
        }

    async def end_all(self, owner: str, reason: str) -> int:
        """End what hangs on `client/…`, `subject/…` or `session/…`. In force everywhere when this returns."""
        with seam():
            ending = {"$set": {"state": ENDED, "reason": reason, "redeemed": True}}
            found = await self._rows.update_many({"owners": owner, "state": LIVE}, ending)
        return found.matched_count
