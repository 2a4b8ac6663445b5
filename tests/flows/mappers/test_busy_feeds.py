"""A calendar that says when somebody is taken, behind a link that can be taken back."""

from collections.abc import AsyncIterator, Sequence

import pytest
from httpx2 import ASGITransport, AsyncClient
from icalendar import Calendar

from mappers.mapping.faults import UnusableError
from mappers.runtime.faults import NotNowError
from mappers.runtime.feeds import Feeds
from mappers.runtime.records import Records
from mappers.runtime.server import Server
from mappers.runtime.web import build_app
from tests.clinics import InProcess
from tests.flows.mappers.conftest import RECEIVED, STATE_KEY

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-thirty-two-characters-and-more"


@pytest.fixture
def feeds(server: Server) -> Feeds:
    return Feeds(server, Records("feeds", STATE_KEY), lambda: RECEIVED)


@pytest.fixture
async def outside(feeds: Feeds) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(build_app((), feeds.clock, feeds))
    async with AsyncClient(transport=transport, base_url="http://feeds.example") as http:
        yield http


async def booked(clinic: InProcess, actor: str, times: Sequence[tuple[str, str, str]]) -> None:
    caller = clinic.caller()
    patient = await caller.store({"resourceType": "Patient", "name": [{"family": "Unsaid"}]})
    for status, start, end in times:
        who = [{"actor": {"reference": one}, "status": "accepted"} for one in (actor, f"Patient/{patient['id']}")]
        visit = {"resourceType": "Appointment", "status": status, "start": start, "end": end, "participant": who}
        await caller.store({**visit, "description": "Lip filler"})


async def practitioner(clinic: InProcess) -> str:
    return f"Practitioner/{(await clinic.caller().store({'resourceType': 'Practitioner'}))['id']}"


async def test_m18_who_has_the_link_sees_when_somebody_is_taken_and_nothing_else(
    clinic: InProcess, feeds: Feeds, outside: AsyncClient
) -> None:
    mine, other = await practitioner(clinic), await practitioner(clinic)
    await booked(
        clinic,
        mine,
        [
            ("booked", "2026-11-03T09:00:00Z", "2026-11-03T09:30:00Z"),
            ("arrived", "2026-11-03T09:30:00Z", "2026-11-03T10:00:00Z"),
            ("cancelled", "2026-11-04T09:00:00Z", "2026-11-04T09:30:00Z"),
            ("booked", "2026-12-20T09:00:00Z", "2026-12-20T09:30:00Z"),
            ("booked", "2027-11-03T09:00:00Z", "2027-11-03T09:30:00Z"),
        ],
    )
    await booked(clinic, other, [("booked", "2026-11-05T09:00:00Z", "2026-11-05T09:30:00Z")])
    schedule = await clinic.caller().store({"resourceType": "Schedule", "actor": [{"reference": mine}]})
    block = {"resourceType": "Slot", "schedule": {"reference": f"Schedule/{schedule['id']}"}}
    times = {"start": "2026-11-06T12:00:00Z", "end": "2026-11-06T13:00:00Z"}
    await clinic.caller().store({**block, **times, "status": "busy-unavailable"})
    await feeds.add(mine, TOKEN)

    answer = await outside.get(f"/feeds/{TOKEN}.ics")

    assert answer.status_code == 200
    assert answer.headers["cache-control"].startswith("private")
    begins = [line[8:16] for line in answer.text.splitlines() if line.startswith("DTSTART:")]
    assert begins == ["20261103", "20261106", "20261220"]
    assert len(Calendar.from_ical(answer.content).walk("VEVENT")) == 3
    assert not any(word in answer.text for word in ("Unsaid", "Lip filler", "Patient/", mine))


async def test_a_link_that_is_taken_back_opens_nothing_and_its_token_is_kept_nowhere(
    clinic: InProcess, feeds: Feeds, outside: AsyncClient
) -> None:
    id = await feeds.add(await practitioner(clinic), "another-" + TOKEN)
    before = await outside.get(f"/feeds/another-{TOKEN}.ics")
    links = await feeds.links()

    await feeds.revoke(id)

    assert before.status_code == 200
    assert id in {link["id"] for link in links}
    assert TOKEN not in str(links)
    assert (await outside.get(f"/feeds/another-{TOKEN}.ics")).status_code == 404
    assert id not in {link["id"] for link in await feeds.links()}


async def test_what_is_no_link_opens_nothing(feeds: Feeds, outside: AsyncClient) -> None:
    assert (await outside.get("/feeds/guessed.ics")).status_code == 404
    with pytest.raises(UnusableError):
        await feeds.add("Patient/1", "a-feed-of-a-patient")
    with pytest.raises(UnusableError):
        await feeds.revoke("none")


async def test_while_the_server_cannot_be_asked_who_has_the_link_shall_come_again() -> None:
    class Away:
        async def read(self, urls: Sequence[str]) -> list[None]:
            raise NotNowError

    feeds = Feeds(Away(), Records("feeds", STATE_KEY), lambda: RECEIVED)  # type: ignore[arg-type]  # it stands for the server
    transport = ASGITransport(build_app((), feeds.clock, feeds))
    async with AsyncClient(transport=transport, base_url="http://feeds.example") as http:
        answer = await http.get(f"/feeds/{TOKEN}.ics")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_who_guesses_is_held_back(outside: AsyncClient) -> None:
    answers = [(await outside.get(f"/feeds/{number}.ics")).status_code for number in range(62)]

    assert answers[:60] == [404] * 60
    assert answers[60:] == [429, 429]
