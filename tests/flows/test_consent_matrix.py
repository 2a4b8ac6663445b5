"""Role x purpose x rendition x consent state x channel, asked of the running server, held against a table byte by byte.

Issue "Photos and consent": no legal basis, no byte. The table is written anew here, from the words of the issue alone.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.consent.terms import ANONYMISATION
from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.people import care_team
from tests.samples import consent, jpeg, media, patient, published

pytestmark = pytest.mark.anyio

STATES = ("active", "masked", "expired", "withdrawn", "refused", "none", "proposed", "future", "erred")
"""Of the one consent for a purpose: as a PUT leaves it. `masked`: it wants faces masked."""

PEOPLE = [
    *(("care-photography", state) for state in STATES),
    *(("photo-marketing", state) for state in STATES[:6]),
    ("training", "active"),
    ("research", "active"),
]
"""One patient for each purpose and state."""

RENDITIONS = ("original", "released")
"""`released` shows a masked face, and is given to marketing."""

CHANNELS = ("website", "print", "instagram")
DOORS = ("whole", "range", "resource")
MASKED = {"url": ANONYMISATION, "valueCode": "face-masked"}
RELEASE = {"tag": [{"system": "urn:aesthetic-fhir-server:release", "code": "released"}]}
NO_BYTES = b'"resourceType":"OperationOutcome"'
_AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Who:
    """`purpose` is the v3-ActReason code that the client is registered for."""

    role: str | None
    purpose: str = "TREAT"
    tied: bool = True


CALLERS = {
    "surgeon": Who("practitioner"),
    "nurse": Who("nurse"),
    "stranger to the patient": Who("practitioner", tied=False),
    "marketing": Who("marketing", "HMARKT"),
    "privacy officer": Who("privacy-officer", "HCOMPL"),
    "auditor": Who("auditor", "HCOMPL"),
    "administrator": Who("administrator", "HSYSADMIN"),
    "receptionist": Who("receptionist", "PATADMIN"),
    "the patient": Who("patient", "PATRQT"),
    "another patient": Who("patient", "PATRQT", tied=False),
    "back end for care": Who("system"),
    "back end for marketing": Who("system", "HMARKT"),
    "back end for training": Who("system", "TRAIN"),
    "back end for research": Who("system", "HRESCH"),
    "nobody": Who(None),
}
OWN_PURPOSE = {"HMARKT": "photo-marketing", "TRAIN": "training", "HRESCH": "research"}


def expected(who: Who, rendition: str, purpose: str, state: str) -> set[int]:
    """What a caller is answered, where all that was ever signed is one consent for this purpose, in this state."""
    if who.role is None:
        return {401}
    sees_media = who.role in {"practitioner", "nurse", "patient", "system"} or (
        who.role == "marketing" and rendition == "released"
    )
    if not sees_media or not who.tied:
        return {403, 404}
    asks_for = OWN_PURPOSE.get(who.purpose, "care-photography")
    covers = state == "active" or (state == "masked" and rendition != "original")
    return {200, 206} if purpose == asks_for and covers else {403}


@dataclass(slots=True)
class Person:
    """`bytes_of` and `paths`: of each rendition."""

    id: str = ""
    paths: dict[str, str] = field(default_factory=dict)
    media: dict[str, str] = field(default_factory=dict)
    bytes_of: dict[str, bytes] = field(default_factory=dict)


async def together(asked: Sequence[Awaitable[Response]]) -> list[Response]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(asking: Awaitable[Response]) -> Response:
        async with room:
            return await asking

    return await asyncio.gather(*map(one, asked))


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


@pytest.fixture(scope="module")
async def people(clinic: InProcess, office: Caller) -> dict[tuple[str, str], Person]:
    made = await asyncio.gather(*(_person(office, purpose, state) for purpose, state in PEOPLE))
    return dict(zip(PEOPLE, made, strict=True))


async def _person(office: Caller, purpose: str, state: str) -> Person:
    """Photos are taken under a consent that is then erased from what counts, as if it had never been given."""
    person = Person(str((await office.store(patient()))["id"]))
    await office.store(care_team(person.id, "Practitioner/matrix"))
    first = await office.store(consent(person.id))
    kinds: dict[str, Json] = {
        "original": {},
        "released": {"extension": [MASKED], "meta": RELEASE},
    }
    for name, more in kinds.items():
        taken = jpeg(900, plain=True)
        stored = await office.store(media(person.id, taken, **more))
        assert base64.b64decode(stored["content"]["hash"]) == hashlib.sha1(taken, usedforsecurity=False).digest()
        person.media[name], person.paths[name] = f"Media/{stored['id']}", f"/fhir/{stored['content']['url']}"
        person.bytes_of[name] = taken
    await office.store({**first, "status": "entered-in-error"})
    await _into(office, person.id, purpose, state)
    return person


async def _into(office: Caller, ann: str, purpose: str, state: str) -> None:
    terms: dict[str, Any] = published("website", "print") if purpose == "photo-marketing" else {}
    period = {"expired": {"end": "2026-01-06"}, "future": {"start": "2099-01-01"}}.get(state)
    if state == "none":
        return
    if state == "masked":
        terms = {**terms, "extension": [*terms.get("extension", []), MASKED]}
    stored = await office.store(
        consent(
            ann,
            purpose,
            "deny" if state == "refused" else "permit",
            **terms,
            status=state if state in {"proposed", "draft"} else "active",
            **({"provision": {"period": period}} if period else {}),
        )
    )
    if state == "withdrawn":
        await office.post(f"/fhir/Consent/{stored['id']}/$withdraw")
    elif state == "erred":
        await office.store({**stored, "status": "entered-in-error"})


def caller(clinic: InProcess, name: str, person: Person) -> Caller:
    who = CALLERS[name]
    if who.role is None:
        return clinic.stranger
    if who.role == "system":
        return clinic.caller("system/*.cruds", purposes=(who.purpose,), client=name)
    if who.role == "patient":
        id = person.id if who.tied else "matrix-other"
        return clinic.caller("patient/*.cruds", role="patient", patient=id, fhir_user=f"Patient/{id}", client=name)
    user = "Practitioner/matrix" if who.tied else "Practitioner/matrix-stranger"
    return clinic.caller("user/*.cruds", role=who.role, fhir_user=user, client=name)


def through(door: str, who: Caller, path: str) -> Awaitable[Response]:
    match door:
        case "range":
            return who.get(path, Range="bytes=100-299")
        case "resource":
            return who.get(path, Accept=FHIR_JSON)
        case _:
            return who.get(path)


def require(answer: Response, door: str, taken: bytes, allowed: set[int]) -> None:
    """The very bytes, or none of them."""
    assert answer.status_code in allowed
    if answer.status_code == 206:
        assert (door, answer.content) == ("range", taken[100:300])
    elif answer.status_code == 200 and door == "resource":
        assert base64.b64decode(read(answer)["data"]) == taken
    elif answer.status_code == 200:
        assert answer.content == taken
    else:
        assert NO_BYTES in answer.content
        assert taken[300:340] not in answer.content
        assert base64.b64encode(taken[300:339]) not in answer.content


@pytest.mark.parametrize("name", CALLERS)
async def test_s_110_s_72_t_57_no_basis_no_byte(
    clinic: InProcess, people: dict[tuple[str, str], Person], name: str
) -> None:
    who = CALLERS[name]
    blind = who.purpose not in OWN_PURPOSE and not expected(who, "released", "care-photography", "active") & {200}
    some = [key for key in people if key[1] == "active"] if blind else people
    asked = [
        (purpose, state, rendition, DOORS[place % len(DOORS)])
        for place, ((purpose, state), rendition) in enumerate(product(some, RENDITIONS))
    ]

    answers = await together(
        [
            through(door, caller(clinic, name, people[purpose, state]), people[purpose, state].paths[rendition])
            for purpose, state, rendition, door in asked
        ]
    )

    for (purpose, state, rendition, door), answer in zip(asked, answers, strict=True):
        taken = people[purpose, state].bytes_of[rendition]
        try:
            require(answer, door, taken, expected(who, rendition, purpose, state))
        except AssertionError as failure:
            raise AssertionError(f"{name}, {rendition} by {door}, {purpose} {state}: {answer.status_code}") from failure


@pytest.mark.parametrize("channel", CHANNELS)
async def test_s_76_t_85_t_86_t_87_a_channel_is_permitted_by_a_consent_that_names_it_and_by_no_other(
    clinic: InProcess, people: dict[tuple[str, str], Person], channel: str
) -> None:
    surgeon = clinic.caller(client="publishing", fhir_user="Practitioner/matrix")
    asked = list(product([key for key in people if key[0] == "photo-marketing"], RENDITIONS))

    answers = await together(
        [surgeon.post("/fhir/Task", _publication(people[key], rendition, channel)) for key, rendition in asked]
    )

    for ((purpose, state), rendition), answer in zip(asked, answers, strict=True):
        covers = state == "active" or (state == "masked" and rendition != "original")
        permitted = channel in {"website", "print"} and covers
        assert answer.status_code == (201 if permitted else 403), f"{channel}, {rendition}, {purpose} {state}"


def _publication(person: Person, rendition: str, channel: str) -> Json:
    said = {"purpose": "photo-marketing", "channel": channel}
    checked = {"type": {"coding": [{"code": "ethics-check"}]}, "valueReference": {"reference": "Practitioner/x"}}
    return {
        "resourceType": "Task",
        "status": "completed",
        "intent": "order",
        "code": {"coding": [{"system": "urn:aesthetic-fhir-server:task", "code": "publish"}]},
        "focus": {"reference": person.media[rendition]},
        "for": {"reference": f"Patient/{person.id}"},
        "input": [{"type": {"coding": [{"code": name}]}, "valueCode": code} for name, code in said.items()],
        "output": [checked],
    }
