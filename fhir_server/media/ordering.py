"""Step: a photograph of *before* is taken before the treatment that it is part of, one of *after* after it.

Requirement T13. What surely contradicts that is refused; a day on which both were leaves it open.
"""

from collections.abc import Iterator

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.protocol import codes, noted
from fhir_server.media.vocabulary import TIMEPOINT
from fhir_server.search.types.moment import Stretch, stretch

_MOST = 20


class Ordering(Step):
    """After `Intake`, which may find in the picture when it was taken."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store

    async def prepare(self, call: Call, change: Change) -> Change:
        media = change.resource
        if change.key.type != "Media" or media is None:
            return change
        told = set(codes(noted(media, TIMEPOINT)))
        taken = _stretch(media.get("createdDateTime"), media.get("createdPeriod"))
        procedures = list(_procedures(media))[:_MOST]
        if taken is None or not procedures or told.isdisjoint({"before", "after"}):
            return change
        for stored in (await self._store.read_many(procedures)).values():
            treated = None if stored.deleted else _begun(stored.resource)
            if treated is None:
                continue
            if ("before" in told and treated.high <= taken.low) or ("after" in told and taken.high <= treated.low):
                raise UnprocessableError(
                    "The photograph was not taken at this timepoint of the treatment that it is part of.",
                    expression="Media.created",
                )
        return change


def _procedures(media: Json) -> Iterator[ResourceKey]:
    for one in media.get("partOf", []):
        key = parse_reference(str(one.get("reference", "")))
        if key is not None and key.type == "Procedure":
            yield key


def _begun(procedure: Json) -> Stretch | None:
    return _stretch(procedure.get("performedDateTime"), procedure.get("performedPeriod"))


def _stretch(moment: object, period: Json | None) -> Stretch | None:
    """Of a dateTime, or of the beginning of a Period."""
    text = moment or (period or {}).get("start")
    return stretch(text) if isinstance(text, str) else None
