"""Before and after: two photos of one view side by side, with a score; and all of a patient in order of time.

Requirements T19, S81, M8. Views are never mixed, and what was simulated is compared with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media import drawing
from fhir_server.media.admission import admitted
from fhir_server.media.comparability import Score, comparability, observation
from fhir_server.media.labels import is_simulated
from fhir_server.media.protocol import codes
from fhir_server.media.renditions import Original, Renditions

COMPARISON = "comparison"


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison as a Media of its own, and the Observation of how far the two can be compared."""

    media: Stored
    score: Stored


class Comparing:
    def __init__(self, engine: Engine, renditions: Renditions) -> None:
        self._engine, self._renditions = engine, renditions

    async def compare(self, call: Call, other: str) -> Compared:
        """`other`: the id of the second Media. The earlier one stands on the left."""
        async with admitted(self._engine, call):
            two = [await self._renditions.original(call, id, 2 * drawing.SIDE) for id in (str(call.id), other)]
            two.sort(key=lambda one: (_when(one.media.resource), str(one.media.key)))
            _require_comparable(two[0].media.resource, two[1].media.resource)
            found: list[Score] = []

            def drawn() -> bytes:
                left, right = (drawing.opened(one.data, drawing.SCREEN) for one in two)
                found.append(comparability(left, right, two[0].media.resource, two[1].media.resource))
                return drawing.encoded(drawing.side_by_side(left, right))

            data = await self._renditions.drawn(drawn)
            score = self._observation(found[0], two, call)
        stored = await self._renditions.commit(call, COMPARISON, data, two, (), score)
        return Compared(stored[0], stored[2])

    def _observation(self, score: Score, two: Sequence[Original], call: Call) -> Json:
        references = [str(one.media.key) for one in two]
        return observation(score, two[0].media.resource["subject"], references, instant(call.instant))


def _require_comparable(first: Json, second: Json) -> None:
    if first["subject"].get("reference") != second["subject"].get("reference"):
        raise UnprocessableError("Two photos are compared of one patient.", expression="Media.subject")
    if is_simulated(first) or is_simulated(second):
        raise UnprocessableError(
            "A simulation is no result, and is compared with nothing.", expression="Media.meta.tag"
        )
    if not set(codes(first.get("view"))) & set(codes(second.get("view"))):
        raise UnprocessableError("Two photos are compared of one view, which both name.", expression="Media.view")
    sites = [codes(media.get("bodySite")) for media in (first, second)]
    if all(sites) and not set(sites[0]) & set(sites[1]):
        raise UnprocessableError("Two photos are compared of one body site.", expression="Media.bodySite")


def _when(media: Json) -> str:
    return str(media.get("createdDateTime") or media.get("createdPeriod", {}).get("start") or "")
