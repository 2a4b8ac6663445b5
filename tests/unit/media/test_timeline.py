"""A timeline goes through all pages of a patient's photos, up to what can be put in order."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.page import Page
from fhir_server.engine.pipeline import Step
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import FhirError, TooCostlyError
from fhir_server.media.timeline import Wanted, timeline
from fhir_server.search.language import PLAIN

pytestmark = pytest.mark.anyio


class Shot:
    def __init__(self, number: int, taken: str) -> None:
        self.number = number
        self.resource = {"resourceType": "Media", "createdDateTime": taken, "content": {"url": f"Binary/{number}"}}


class Pages:
    """An engine that finds a hundred photos a page, the newest first."""

    language = PLAIN
    steps = Step()

    def __init__(self, pages: int) -> None:
        self.pages = pages

    async def refused(self, call: Call, failure: FhirError) -> None:
        self.failed = failure

    async def search(self, call: Call, query: Any, after: Position | None = None) -> Page:
        page = after.seq if after else 0
        times = [f"2026-01-01T00:{59 - page:02}:{59 - each % 60:02}Z" for each in range(100)]
        shots: Any = tuple(Shot(page * 100 + each, taken) for each, taken in enumerate(times))
        return Page(shots, Position(page + 1, "x") if page + 1 < self.pages else None)


CALL = Call(Interaction.OPERATION, Principal("a", "a", "", ""), datetime(2026, 3, 1, tzinfo=UTC), "Media")


async def test_t63_every_page_is_in_it() -> None:
    engine: Any = Pages(4)

    found = await timeline(engine, CALL, Wanted("ann"))

    assert len(found) == 400
    times = [one.resource["createdDateTime"] for one in found]
    assert times == sorted(times)


async def test_more_than_can_be_put_in_order_is_too_costly() -> None:
    engine: Any = Pages(9)

    with pytest.raises(TooCostlyError):
        await timeline(engine, CALL, Wanted("ann"))

    assert isinstance(engine.failed, TooCostlyError)
