"""Two clinics of ours kept in step by one runtime: both ways, by whose word counts, without an echo. FHIR R4, SMART."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncBaseTransport, AsyncClient, Request, Response

from fhir_server.kernel import json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from mappers.fhir_sync.elements import COPY_OF
from mappers.fhir_sync.people import DOUBTFUL
from mappers.runtime.clock import now
from mappers.runtime.delivery import Outcome
from mappers.runtime.looking_after import LookingAfter
from mappers.runtime.settings import load
from mappers.runtime.syncing.rounds import Rounds
from mappers.runtime.wiring import Runtime
from tests.clinics import Caller, InProcess, read, running
from tests.samples import consent, jpeg, media

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
KEY = new_private_jwk("ES384")
TYPES = ("Appointment", "Basic", "Consent", "DocumentReference", "Media", "Patient", "Provenance", "Task")
SCOPES = (*(f"system/{type}.cruds" for type in TYPES), "system/Binary.r")
ELSEWHERE = "http://127.0.0.1:8001"
THERE, HERE = f"{ELSEWHERE}/fhir", "http://127.0.0.1:8000/fhir"
RECIPIENT = "Organization/the-ehr"


@dataclass
class Both(AsyncBaseTransport):
    """Two servers, each by its address. `meddle`: by path, what happens just before it is written."""

    by_address: dict[str, ASGITransport]
    requests: list[Request] = field(default_factory=list)
    meddle: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    async def handle_async_request(self, request: Request) -> Response:
        self.requests.append(request)
        if request.method == "PUT" and (meddle := self.meddle.pop(request.url.path, None)):
            await meddle()
        return await self.by_address[
            f"{request.url.scheme}://{request.url.host}:{request.url.port}"
        ].handle_async_request(request)


@dataclass(frozen=True)
class Story:
    """What was done to seven patients, in five rounds; the tests look at what came of it."""

    here: Caller
    there: Caller
    wire: Both
    rounds: Rounds
    theirs: dict[str, Json] = field(default_factory=dict)
    ours: dict[str, Json] = field(default_factory=dict)
    booked: dict[str, Json] = field(default_factory=dict)
    copies: dict[str, Json] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    async def both_patients(self) -> None:
        """Theirs come here; two of ours are there already, one of them with another birth date."""
        for name in ("Brook", "Cole", "Frost", "Gale", "Hale"):
            self.theirs[name] = await self.there.store(patient(name))
        self.ours["Dunn"] = await self.here.store(patient("Dunn", identifier=[number("42")]))
        self.ours["Ellis"] = await self.here.store(patient("Ellis", identifier=[number("43")], birthDate="1955"))
        self.theirs["Dunn"] = await self.there.store(patient("Dunn", identifier=[number("42")], gender="female"))
        self.theirs["Ellis"] = await self.there.store(patient("Ellis", identifier=[number("43")]))
        await self.rounds.poll()
        for name, theirs in self.theirs.items():
            if name not in self.ours:
                self.ours[name] = await copy_of(self.here, "Patient", f"{THERE}/Patient/{theirs['id']}")

    async def ours_to_send(self) -> None:
        for name in ("Brook", "Cole", "Gale", "Hale"):
            self.booked[name] = await self.here.store(appointment(self.ours[name]))
        frost, gale, hale = self.ours["Frost"]["id"], self.ours["Gale"]["id"], self.theirs["Hale"]["id"]
        await self.here.store(consent(frost))
        self.seen["picture"] = jpeg(plain=True)
        self.seen["photo"] = await self.here.store(media(frost, self.seen["picture"]))
        await self.here.store(consent(gale, provision={"actor": [recipient("Organization/another")]}))
        await self.there.store(consent(hale))
        await self.rounds.poll()
        for name, booked in self.booked.items():
            self.copies[name] = await copy_of(self.there, "Appointment", f"{HERE}/Appointment/{booked['id']}")
        self.seen["photos before"] = read(await self.there.get(f"/fhir/Media?patient={self.theirs['Frost']['id']}"))

    async def changes_on_the_wrong_side(self) -> None:
        brook, cole = self.copies["Brook"], self.copies["Cole"]
        await self.here.store({**self.ours["Brook"], "birthDate": "1970-01-01"})
        moved = {"start": "2026-03-03T09:00:00Z", "end": "2026-03-03T10:00:00Z"}
        await self.there.store({**brook, **moved, "comment": "Hip"})
        await self.here.store({**self.booked["Cole"], "start": "2026-03-02T08:00:00Z"})
        self.wire.meddle[f"/fhir/Appointment/{cole['id']}"] = lambda: self.there.store({**cole, "comment": "X-rays"})
        await self.there.delete(f"/fhir/Appointment/{self.copies['Hale']['id']}")
        named = consent(self.ours["Frost"]["id"], provision={"actor": [recipient(RECIPIENT)]})
        self.seen["named"] = await self.here.store(named)
        await self.rounds.poll()
        copy = await copy_of(self.there, "Media", f"{HERE}/Media/{self.seen['photo']['id']}")
        self.seen["copy"] = copy
        self.seen["sent"] = (await self.there.get(f"/fhir/{copy['content']['url']}")).content

    async def quiet(self) -> tuple[Counter[Outcome], list[str]]:
        """What a round did where nothing happened before it, and what it wrote on their side."""
        del self.wire.requests[:]
        found = await self.rounds.poll()
        there = [one for one in self.wire.requests if str(one.url).startswith(THERE) and one.method != "GET"]
        return found, [one.url.path for one in there]


def register(inside: InProcess) -> None:
    client = Client("sync", Kind.BACKEND, "Sync", SCOPES, purposes=("TREAT",), jwks=public_set(KEY))
    assert inside.clinic.store.clients.save(replace(client, revision=1))


@pytest.fixture(scope="module")
async def ehr(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir = tmp_path_factory.mktemp("ehr")
    async with running(mongo_uri, "test_mappers_ehr", data_dir, token_rate=10_000, base_url=ELSEWHERE) as inside:
        register(inside)
        yield inside


def written(folder: Path, base: str) -> Path:
    for name, text in {
        "key.json": json.encode(KEY).decode(),
        "state-key": "a key of the runtime's own, of 32 and more",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    source = {
        "name": "ehr",
        "system": "fhir",
        "base": f"{ELSEWHERE}/fhir",
        "client_id": "sync",
        "scope": " ".join(SCOPES),
        "key_file": "key.json",
        "they_are": ["ehr"],
        "recipient": RECIPIENT,
        "beginning": now().isoformat(),
        "known": {RECIPIENT: "Organization/main"},
    }
    settings = {
        "server": base,
        "client_id": "sync",
        "scope": " ".join(SCOPES),
        "key_file": "key.json",
        "state_key_file": "state-key",
        "sources": [source],
    }
    (folder / "settings.json").write_bytes(json.encode(settings))
    return folder / "settings.json"


@pytest.fixture(scope="module")
async def story(clinic: InProcess, ehr: InProcess, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    wire = Both({clinic.clinic.settings.base_url: ASGITransport(clinic.app), ELSEWHERE: ASGITransport(ehr.app)})
    register(clinic)
    settings = load(written(tmp_path_factory.mktemp("sync"), clinic.base))
    for id in ("the-ehr", "another"):
        await clinic.caller().store({"resourceType": "Organization", "id": id, "name": id})
    await ehr.caller().store({"resourceType": "Organization", "id": "main", "name": "Main"})
    async with AsyncClient(transport=wire, timeout=60) as http:
        rounds = Runtime(settings, http, now).steady(settings.source("ehr"))
        assert isinstance(rounds, Rounds)
        told = Story(clinic.caller(), ehr.caller(), wire, rounds)
        await told.both_patients()
        await told.ours_to_send()
        await told.changes_on_the_wrong_side()
        await told.rounds.poll()
        told.seen["quiet"] = await told.quiet()
        yield told


def number(value: str) -> Json:
    return {"system": "urn:example:national", "value": value}


def recipient(reference: str) -> Json:
    role = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    return {"role": {"coding": [role]}, "reference": {"reference": reference}}


def patient(family: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "name": [{"family": family}], "birthDate": "1990-07-14", **more}


def appointment(who: Json, **more: Any) -> Json:
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-02T09:00:00Z",
        "end": "2026-03-02T09:30:00Z",
        "participant": [{"actor": {"reference": f"Patient/{who['id']}"}, "status": "accepted"}],
        **more,
    }


async def copy_of(caller: Caller, type: str, url: str) -> Json:
    [entry] = read(await caller.get(f"/fhir/{type}?identifier={COPY_OF}%7C{url}"))["entry"]
    copy: Json = entry["resource"]
    return copy


async def losses(story: Story, theirs: str) -> str:
    """What every version of the link says was lost."""
    linked = f"urn:aesthetic-fhir-server:mappers:linked%7Cehr%20{theirs}"
    [entry] = read(await story.here.get(f"/fhir/Basic?identifier={linked}"))["entry"]
    history = read(await story.here.get(f"/fhir/Basic/{entry['resource']['id']}/_history"))
    return str([one["resource"]["contained"] for one in history["entry"]])


async def test_two_rounds_after_the_last_change_nothing_is_written_any_more(story: Story) -> None:
    found, writes = story.seen["quiet"]

    assert not found[Outcome.WRITTEN], found
    assert writes == []


async def test_a_patient_of_theirs_and_a_booking_of_ours_are_on_both_sides(story: Story) -> None:
    theirs, ours = story.theirs["Gale"], story.ours["Gale"]
    copy, booked = story.copies["Gale"], story.booked["Gale"]

    assert (ours["name"], ours["birthDate"]) == (theirs["name"], "1990-07-14")
    assert copy["participant"][0]["actor"]["reference"] == f"Patient/{theirs['id']}"
    assert (copy["start"], copy["status"]) == (booked["start"], "booked")
    assert copy["meta"]["source"] == f"{HERE}/Appointment/{booked['id']}"
    origin = read(await story.here.get(f"/fhir/Provenance?target=Patient/{ours['id']}"))
    assert origin["entry"][0]["resource"]["agent"][0]["who"]["identifier"]["value"] == "ehr"


async def test_the_owner_s_word_stands_on_both_sides_and_the_other_word_is_a_named_loss(story: Story) -> None:
    """Times are booking's (here), demographics the EHR's (there): both were changed on the wrong side."""
    booked, copy = story.booked["Brook"], story.copies["Brook"]

    there = read(await story.there.get(f"/fhir/Appointment/{copy['id']}"))
    here = read(await story.here.get(f"/fhir/Appointment/{booked['id']}"))

    assert read(await story.here.get(f"/fhir/Patient/{story.ours['Brook']['id']}"))["birthDate"] == "1990-07-14"
    assert (there["start"], here["comment"]) == (booked["start"], "Hip")
    assert "Patient.birthDate" in await losses(story, f"Patient/{story.theirs['Brook']['id']}")
    assert "Appointment.start" in await losses(story, f"Appointment/{copy['id']}")


async def test_a_write_that_somebody_overtook_is_worked_out_again(story: Story) -> None:
    """They wrote a comment between our look and our write: that is 412, and nothing of either is lost."""
    there = read(await story.there.get(f"/fhir/Appointment/{story.copies['Cole']['id']}"))
    here = read(await story.here.get(f"/fhir/Appointment/{story.booked['Cole']['id']}"))

    assert [(one["start"], one["comment"]) for one in (there, here)] == [("2026-03-02T08:00:00Z", "X-rays")] * 2


async def test_who_has_the_same_number_is_the_same_and_who_has_another_birth_date_is_not(story: Story) -> None:
    dunn = read(await story.here.get(f"/fhir/Patient/{story.ours['Dunn']['id']}"))
    totals = [
        read(await caller.get(f"/fhir/Patient?identifier=urn:example:national%7C{value}"))["total"]
        for caller in (story.here, story.there)
        for value in (42, 43)
    ]
    report = await LookingAfter(story.rounds.aside.server).report("ehr")

    assert dunn["gender"] == "female"
    assert totals == [1, 1, 1, 1]
    assert report[f"dead-letter: {DOUBTFUL}"] == 2


async def test_a_photograph_goes_once_a_consent_names_them_to_the_byte(story: Story) -> None:
    assert "entry" not in story.seen["photos before"]
    assert story.seen["sent"] == story.seen["picture"]


async def test_what_cannot_be_taken_is_put_aside_once_and_stops_nobody(story: Story) -> None:
    """A consent whose rule names somebody of whom the other side has no copy would permit more there than here."""
    report = await LookingAfter(story.rounds.aside.server).report("ehr")

    assert "entry" not in read(await story.there.get(f"/fhir/Consent?patient={story.theirs['Gale']['id']}"))
    assert report["dead-letter: The rule of a Consent names what the other side has no copy of."] == 1
    assert story.copies["Gale"]["status"] == "booked"


async def test_a_consent_of_theirs_is_not_taken_and_what_was_deleted_there_stays_here(story: Story) -> None:
    booked, copy = story.booked["Hale"], story.copies["Hale"]

    assert "entry" not in read(await story.here.get(f"/fhir/Consent?patient={story.ours['Hale']['id']}"))
    assert (await story.here.get(f"/fhir/Appointment/{booked['id']}")).status_code == 200
    assert "deleted on one side" in await losses(story, f"Appointment/{copy['id']}")


async def test_a_photograph_is_taken_back_with_its_consent_and_what_was_put_aside_is_tried_again(story: Story) -> None:
    photo, copy, theirs = story.seen["photo"], story.seen["copy"], story.theirs["Frost"]
    await story.here.post(f"/fhir/Consent/{story.seen['named']['id']}/$withdraw")
    ellis = read(await story.there.get(f"/fhir/Patient/{story.theirs['Ellis']['id']}"))
    await story.there.store({**ellis, "birthDate": "1955"})

    await story.rounds.poll()
    again = await story.rounds.again()

    assert (await story.there.get(f"/fhir/{copy['content']['url']}")).status_code != 200
    assert read(await story.there.get(f"/fhir/Media/{copy['id']}")).get("status") != "completed"
    assert read(await story.there.get(f"/fhir/Consent?patient={theirs['id']}&status=inactive"))["total"] == 1
    assert (await story.here.get(f"/fhir/Media/{photo['id']}")).status_code == 200
    assert again == {Outcome.NOTHING_NEW: 2, Outcome.DEAD: 1}
