"""Page links say nothing, serve one caller for a while, and cannot be bent."""

import base64
from datetime import timedelta

import pytest

from fhir_server.api.paging import Continued
from fhir_server.engine.call import Principal
from fhir_server.engine.position import Position
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

FAMILY = "Linkmarker"


@pytest.fixture(scope="module")
async def asked(clinic: InProcess) -> Caller:
    clerk = clinic.caller(client="clerk")
    for _ in range(3):
        await clerk.store(patient(FAMILY))
    return clerk


async def next_link(clerk: Caller, of: str = f"/fhir/Patient?name={FAMILY}&_count=1") -> str:
    page = read(await clerk.get(of))
    return str(next(link["url"] for link in page["link"] if link["relation"] == "next"))


async def test_a_link_leads_on_to_the_last_page(asked: Caller) -> None:
    second = read(await asked.get(await next_link(asked)))
    third = read(await asked.get(next(link["url"] for link in second["link"] if link["relation"] == "next")))

    assert [len(page["entry"]) for page in (second, third)] == [1, 1]
    assert "next" not in {link["relation"] for link in third["link"]}


async def test_a_link_reveals_nothing_of_the_search(asked: Caller) -> None:
    link = await next_link(asked)
    sealed = link.partition("_page=")[2]
    raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))

    assert FAMILY.casefold() not in link.casefold()
    assert FAMILY.encode() not in raw
    assert b"name" not in raw
    assert await next_link(asked) != link, "the same page has another link each time"


@pytest.mark.parametrize("other", [{"client": "another"}, {"client": "clerk", "patient": "p1"}])
async def test_a_link_serves_only_who_got_it(clinic: InProcess, asked: Caller, other: dict[str, str]) -> None:
    link = await next_link(asked)

    answer = await clinic.caller(**other).get(link)

    assert answer.status_code == 400
    assert read(answer)["resourceType"] == "OperationOutcome"


async def test_a_link_gives_no_scope_that_the_token_lacks(clinic: InProcess, asked: Caller) -> None:
    link = await next_link(asked)

    assert (await clinic.caller("system/Observation.s", client="clerk").get(link)).status_code == 403
    assert (await clinic.stranger.get(link)).status_code == 401


async def test_a_link_refuses_tampering(asked: Caller) -> None:
    link = await next_link(asked)
    start = link.index("_page=") + len("_page=")

    for place in range(start, len(link), 7):
        letter = "A" if link[place] != "A" else "B"
        assert (await asked.get(link[:place] + letter + link[place + 1 :])).status_code == 400
    for bent in (link[:-1], link + "A", link + "=", link + "%00", link[:start], f"{link}&name=x", f"{link}&_page=x"):
        assert (await asked.get(bent)).status_code in {400, 414}, bent


async def test_a_link_is_for_its_type_alone(asked: Caller) -> None:
    link = await next_link(asked)

    assert (await asked.get(link.replace("/Patient?", "/Observation?"))).status_code == 400


async def test_a_link_expires(clinic: InProcess, asked: Caller) -> None:
    surface = clinic.clinic.surface
    holder = Principal("clerk", "clerk", clinic.clinic.settings.base_url, "", role="system")
    after = Continued("Patient", (("name", FAMILY),), Position(1, "Patient/0"))
    lifetime = timedelta(seconds=clinic.clinic.settings.page_lifetime)
    fresh = surface.paging.link(clinic.base, after, holder, surface.clock.now() - lifetime + timedelta(minutes=1))
    stale = surface.paging.link(clinic.base, after, holder, surface.clock.now() - lifetime)

    assert (await asked.get(fresh)).status_code == 200
    assert (await asked.get(stale)).status_code == 400
