"""All photos of a patient in the order in which they were taken, of one view, body site or series.

Requirements T13, T63. What the caller may not see is not in it; renditions are left out.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import is_id
from fhir_server.kernel.json import Json
from fhir_server.media.admission import admitted
from fhir_server.media.photos_within import carries_photo
from fhir_server.media.protocol import codes, noted
from fhir_server.media.vocabulary import RENDITION, SERIES, TIMEPOINT
from fhir_server.search.parse import parse

MOST_PHOTOS = 500
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """`patient` is an id; an empty string asks for all. A code stands for a concept with that code."""

    patient: str
    view: str = ""
    body_site: str = ""
    series: str = ""
    timepoint: str = ""

    def meets(self, media: Json) -> bool:
        told = (
            (self.view, codes(media.get("view"))),
            (self.body_site, codes(media.get("bodySite"))),
            (self.series, [str((noted(media, SERIES) or {}).get("value", ""))]),
            (self.timepoint, codes(noted(media, TIMEPOINT))),
        )
        is_rendition = any(one.get("url") == RENDITION for one in media.get("extension", []))
        return carries_photo(media) and not is_rendition and all(not asked or asked in said for asked, said in told)


async def timeline(engine: Engine, call: Call, wanted: Wanted) -> tuple[Stored, ...]:
    """Oldest first; what has no time stands at the end. Raises TooCostlyError for more than can be put in order."""
    async with admitted(engine, call):
        if not is_id(wanted.patient):
            raise InvalidRequestError("A timeline is of one patient: name it as `patient`.")
        asked = replace(call, interaction=Interaction.SEARCH_TYPE, type="Media", operation=None)
        query = parse("Media", [("subject", f"Patient/{wanted.patient}"), ("_count", str(_PAGE))], engine.language)
        page: Page = await engine.search(asked, query)
        found = list(page.matches)
        while page.next is not None:
            if len(found) > MOST_PHOTOS:
                raise TooCostlyError(f"The patient has more than {MOST_PHOTOS} photos; search for them page by page.")
            page = await engine.search(asked, query, page.next)
            found += page.matches
    return tuple(sorted((one for one in found if wanted.meets(one.resource)), key=lambda one: _when(one.resource)))


def _when(media: Json) -> tuple[bool, str]:
    """Comparable in whatever time zone each was written."""
    said = str(media.get("createdDateTime") or media.get("createdPeriod", {}).get("start") or "")
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return not said, said
    return False, (moment.astimezone(UTC).isoformat() if moment.tzinfo else said)
