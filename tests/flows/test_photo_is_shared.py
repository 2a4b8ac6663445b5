"""A photo is shared with its patient alone: link and code by two ways, decided at each opening, ended at any time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import NoLegalBasisError, NotFoundError
from fhir_server.kernel.json import Json
from fhir_server.media.sharing import LONGEST
from fhir_server.media.vocabulary import SHARED_UNTIL
from fhir_server.smart.signin.lockout import Tally, for_factor
from fhir_server.smart.signin.sessions import Ended
from fhir_server.smart.signin.users import User
from tests.browsing import Browser, Page
from tests.clinics import Caller, InProcess, read
from tests.people import care_team, of_patient, staff
from tests.samples import consent, media, patient, published
from tests.trail import said
from tests.unit.media.drawn import face

pytestmark = pytest.mark.anyio
NURSE = "Practitioner/sharing"
SCOPES = ("patient/Media.r", "patient/Binary.r")


@dataclass(slots=True)
class Case:
    """A patient with a photo, and the consents to photographs and to messages by e-mail."""

    clinic: InProcess
    office: Caller
    nurse: Caller
    patient: str
    photo: Json
    consents: dict[str, Json]
    browser: Browser

    async def share(self, **given: Any) -> Response:
        asked = {"channel": {"valueCode": "email"}, **given}
        parameters = [{"name": name, **value} for name, value in asked.items() if value]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return await self.nurse.post(f"/fhir/Media/{self.photo['id']}/$share", body)

    async def shared(self, **given: Any) -> dict[str, str]:
        answer = await self.share(**given)
        assert answer.status_code == 201, answer.text
        found = {one["name"]: one for one in read(answer)["parameter"]}
        address = urlsplit(found["link"]["valueUrl"])
        return {
            "link": f"{address.path}?{address.query}",
            "code": found["code"]["valueString"],
            "share": found["share"]["valueReference"]["reference"],
            "until": found["until"]["valueInstant"],
        }

    async def opened(self, share: dict[str, str], code: str = "") -> Page:
        page = await self.browser.get(share["link"])
        return await self.browser.submit(page, "/shared", code=code or share["code"])

    async def bytes_of(self, share: dict[str, str]) -> bytes:
        """As the browser gets them."""
        form = (await self.browser.get(share["link"])).form("/shared")
        fields = {**dict(form.fields), "code": share["code"]}
        answer = await self.browser.http.post(form.action, data=fields, headers={"Origin": self.browser.origin})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        return answer.content


@pytest.fixture(scope="module")
async def case(clinic: InProcess) -> AsyncIterator[Case]:
    async with standing(clinic) as one:
        yield one


@pytest.fixture
async def ending(clinic: InProcess) -> AsyncIterator[Case]:
    """Of a test that changes it."""
    async with standing(clinic) as one:
        yield one


@asynccontextmanager
async def standing(clinic: InProcess) -> AsyncIterator[Case]:
    office, nurse = clinic.caller(client="office"), staff(clinic, "nurse", person=NURSE)
    id = (await office.store(patient()))["id"]
    await office.store(care_team(id, NURSE))
    care = await office.store(consent(id))
    messages = await office.store(consent(id, "communications", **published("email")))
    photo = await nurse.store(media(id, face((60, 80))))
    origin = clinic.clinic.settings.base_url
    async with AsyncClient(transport=ASGITransport(clinic.app), base_url=origin) as http:
        yield Case(clinic, office, nurse, id, photo, {"care": care, "messages": messages}, Browser(http, origin))


async def test_t20_the_patient_opens_it_with_link_and_code(case: Case) -> None:
    share = await case.shared()

    assert await case.bytes_of(share) == (await case.nurse.get(f"/fhir/{case.photo['content']['url']}")).content


async def test_the_page_speaks_both_languages_and_says_nothing_of_whom_it_shows(case: Case) -> None:
    share = await case.shared()

    for language, heading in (("en", "A photograph for you"), ("fr", "Une photographie pour vous")):
        page = await case.browser.get(f"{share['link']}&lang={language}")
        assert (page.status, page.heading) == (200, heading)
        assert case.patient not in page.html
        assert "Sample" not in page.html


async def test_t20_without_the_code_there_is_no_photo_and_guessing_has_to_wait(case: Case) -> None:
    share = await case.shared()
    wrong = "0000 0000" if share["code"] != "0000 0000" else "1111 1111"
    tallies, now = case.clinic.clinic.store.doorway.tallies, case.clinic.clinic.surface.clock.now()
    [count] = for_factor("share", share["share"].partition("/")[2], None)

    assert (await case.opened(share, wrong)).status == 422
    tally = await tallies.tally(count.key)
    assert tally is not None
    assert tally.failures == 1
    assert await tallies.swap(count.key, tally, Tally(9, now + timedelta(hours=1), now))
    refused = await case.opened(share)

    assert (refused.status, "retry-after" in refused.headers) == (429, True)


async def test_an_altered_link_opens_nothing(case: Case) -> None:
    share = await case.shared()
    head, _, secret = share["link"].partition(".")

    for link in (f"{head}.{secret[::-1]}", head, "/auth/shared?link=no.thing", "/auth/shared"):
        page = await case.browser.get(link)
        assert page.status == 404
    other = await case.shared()
    assert (await case.browser.get(f"{other['link'].partition('.')[0]}.{secret}")).status == 404
    assert (await case.opened(share, other["code"])).status == 422


@pytest.mark.parametrize("which", ["care", "messages"])
async def test_m1_s84_it_dies_with_the_consent(ending: Case, which: str) -> None:
    share = await ending.shared()

    await ending.office.post(f"/fhir/Consent/{ending.consents[which]['id']}/$withdraw")

    assert (await ending.opened(share)).status == 404


async def test_it_is_ended_by_whoever_may_change_the_communication_and_never_opened_again(case: Case) -> None:
    share = await case.shared()
    found = read(await case.nurse.get(f"/fhir/{share['share']}"))

    ended = await case.nurse.put(f"/fhir/{share['share']}", {**found, "status": "stopped"})
    assert ended.status_code == 200
    assert (await case.browser.get(share["link"])).status == 404

    again = await case.nurse.put(f"/fhir/{share['share']}", {**found, "status": "in-progress"})
    assert again.status_code == 200
    assert (await case.browser.get(share["link"])).status == 404


async def test_it_ends_when_whoever_made_it_leaves_and_other_peoples_do_not(ending: Case) -> None:
    door, now = ending.clinic.clinic.door, ending.clinic.clinic.surface.clock.now()
    leaver, stays = [User(one, one, one, ("nurse",), None, now) for one in ("share-leaver", "share-stays")]
    assert await door.users.add(leaver)
    assert await door.users.add(stays)
    kept = await ending.shared()
    ending.nurse = staff(ending.clinic, "nurse", person=NURSE, client=leaver.id)
    given = [await ending.shared() for _ in range(2)]
    await ending.office.store(consent(ending.patient, "treatment", kind="deny"))

    await door.sessions.end_user(leaver.id, Ended.DISABLED)
    assert {(await ending.browser.get(each["link"])).status for each in given} == {200}
    await door.leaving.leave(leaver, stays)

    assert {(await ending.browser.get(each["link"])).status for each in given} == {404}
    assert (await ending.browser.get(kept["link"])).status == 200
    history = read(await of_patient(ending.clinic, ending.patient).get(f"/fhir/{given[0]['share']}/_history"))
    assert [each["resource"]["status"] for each in history["entry"]] == ["stopped", "in-progress"]


async def test_its_end_is_not_put_off_by_who_writes_a_communication(case: Case) -> None:
    """Link and code are digests of all that it says."""
    share = await case.shared()
    found = read(await case.nurse.get(f"/fhir/{share['share']}"))
    later = [{"url": SHARED_UNTIL, "valueInstant": "2099-01-01T00:00:00Z"}]

    forged = await case.nurse.store({**{k: v for k, v in found.items() if k != "id"}, "extension": later})
    secret = share["link"].partition(".")[2]

    assert (await case.browser.get(f"/auth/shared?link={forged['id']}.{secret}")).status == 404
    elsewhere = {"reference": "urn:uuid:8c0d2bb4-5b1c-4a0e-9c6b-0a5b1c2d3e4f"}
    late = [{"url": SHARED_UNTIL, "valueInstant": "2099-01-01T23:59:60Z"}]
    for broken in ({"payload": [{"contentString": "x"}]}, {"subject": elsewhere}, {"extension": late}):
        other = await case.office.store({**{k: v for k, v in found.items() if k not in {"id", *broken}}, **broken})
        assert (await case.browser.get(f"/auth/shared?link={other['id']}.{secret}")).status == 404


async def test_it_expires(case: Case) -> None:
    share = await case.shared()
    sharing = case.clinic.clinic.surface.photos.sharing
    now = case.clinic.clinic.surface.clock.now()
    link = share["link"].partition("link=")[2]

    assert await sharing.find(link, now + timedelta(hours=71)) is not None
    assert await sharing.find(link, now + timedelta(hours=73)) is None


async def test_what_cannot_be_shared_is_refused(case: Case) -> None:
    now = case.clinic.clinic.surface.clock.now()
    ends = [instant(now + each) for each in (LONGEST + timedelta(hours=1), timedelta(hours=-1))]

    for end in (*ends, "2026-01-01T00:00:00", "tomorrow"):
        assert (await case.share(until={"valueInstant": end})).status_code == 422
    assert (await case.share(until={"valueInstant": instant(now + LONGEST - timedelta(hours=1))})).status_code == 201
    assert (await case.share(channel={"valueCode": "instagram"})).status_code == 422
    assert (await case.share(channel=None)).status_code == 422
    linked = await case.office.store({**media(case.patient, b""), "content": {"url": "https://elsewhere.example/x"}})
    assert (await replace(case, photo=linked).share()).status_code == 404


async def test_s42_a_channel_without_consent_is_refused_and_recorded(case: Case) -> None:
    async with case.clinic.trail.recording() as recorded:
        assert (await case.share(channel={"valueCode": "sms"})).status_code == 403

    assert recorded.only["outcome"] == "4"


async def test_t20_others_share_nothing(case: Case) -> None:
    for stranger, expected in (
        (staff(case.clinic, "nurse"), 404),
        (staff(case.clinic, "receptionist"), 403),
        (of_patient(case.clinic, case.patient), 403),
    ):
        assert (await replace(case, nurse=stranger).share()).status_code == expected


async def test_t20_sharing_and_opening_are_recorded_as_disclosures(case: Case) -> None:
    async with case.clinic.trail.recording() as recorded:
        share = await case.shared()
        await case.opened(share)

    disclosed = [one for one in recorded.events if "disclose" in [code["code"] for code in one["subtype"]]]
    assert [said(one) for one in disclosed] == [("operation,disclose", "0"), ("read,disclose", "0")]
    shared, opened = disclosed
    assert NURSE in str(shared["agent"])
    assert f"Patient/{case.patient}" in str(opened["agent"])
    for event in disclosed:
        assert f"Patient/{case.patient}" in str(event["entity"])
        assert f"Media/{case.photo['id']}" in str(event["entity"])


@pytest.mark.parametrize("ends", ["the share", "the channel"])
async def test_m1_what_ends_it_cuts_a_running_stream(ending: Case, ends: str) -> None:
    case = ending
    sharing = case.clinic.clinic.surface.photos.sharing
    share = await case.shared()
    link = share["link"].partition("link=")[2]
    found = await sharing.find(link, case.clinic.clinic.surface.clock.now())
    assert found is not None
    who = Principal("x", "share", "", "", SCOPES, patient=case.patient, role="patient")
    call = Call(Interaction.READ, who, case.clinic.clinic.surface.clock.now(), "Media", case.photo["id"])
    stream = sharing.stream(call, link, await sharing.open(call, found))
    await anext(stream)

    if ends == "the share":
        await case.nurse.delete(f"/fhir/{share['share']}")
        await case.office.delete(f"/fhir/{share['share']}")
    else:
        await case.office.post(f"/fhir/Consent/{case.consents['messages']['id']}/$withdraw")

    with pytest.raises(NotFoundError if ends == "the share" else NoLegalBasisError):
        await anext(stream)
