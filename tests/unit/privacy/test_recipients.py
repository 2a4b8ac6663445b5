"""Who received a patient's data, told from the log: clients that acted for themselves, and nobody of the clinic."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.recipients import Disclosures, Recipients, received_by
from fhir_server.search.language import Language

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def event(client: str = "the-lab", code: str = "read", *people: str) -> Json:
    agents = [{"who": {"identifier": {"value": client}}}, *({"who": {"reference": one}} for one in people)]
    return {"resourceType": "AuditEvent", "subtype": [{"code": code}], "agent": agents}


@pytest.mark.parametrize(
    ("found", "client"),
    [
        (event(), "the-lab"),
        (event(code="search-type"), "the-lab"),
        (event(code="update"), None),
        (event("fhir-server"), None),
        (event("an-app", "read", "Practitioner/3"), None),
        (event("an-app", "read", "Patient/7"), None),
        ({"resourceType": "AuditEvent"}, None),
    ],
)
def test_art_19_a_recipient_is_who_read_for_itself(found: Json, client: str | None) -> None:
    assert received_by(found) == client


class Log:
    """Pages of events; it may never end."""

    def __init__(self, *pages: Sequence[Json], endless: bool = False, costly: bool = False) -> None:
        self._pages, self._endless, self._costly, self.asked = list(pages), endless, costly, 0

    async def answer(self, call: Any, queries: Any, after: Position | None) -> Page:
        place = after.seq if after else 0
        if self._costly and place:
            raise TooCostlyError
        self.asked += 1
        more = Position(place + 1, "") if self._endless or place + 1 < len(self._pages) else None
        return Page(tuple(map(stored, self._pages[place % len(self._pages)])), more)


def stored(resource: Json) -> Stored:
    key = ResourceKey("AuditEvent", "1")
    return Stored(key, 1, 1, NOW, truth(key, resource))


def disclosures(log: Log) -> Disclosures:
    return Disclosures(cast("Engine", SimpleNamespace(searching=log, language=Language("https://clinic.example/fhir"))))


@pytest.mark.anyio
async def test_every_page_of_the_log_is_looked_at() -> None:
    log = Log([event("b"), event("a")], [event("c", "update")], [event("a"), event("d")])

    assert await disclosures(log).of("p", NOW) == Recipients(("a", "b", "d"))


@pytest.mark.anyio
async def test_a_log_that_is_too_long_to_be_read_is_said_to_be_read_in_part() -> None:
    log = Log([event()], endless=True)

    assert await disclosures(log).of("p", NOW) == Recipients(("the-lab",), whole=False)
    assert log.asked == 100


@pytest.mark.anyio
async def test_a_search_that_is_too_costly_hinders_nothing() -> None:
    log = Log([event()], [event("later")], costly=True)

    assert await disclosures(log).of("p", NOW) == Recipients(("the-lab",), whole=False)
