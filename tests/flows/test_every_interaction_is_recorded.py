"""Whatever is asked of the server, refused or not, stands in the log before the answer leaves; else there is none."""

from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.cli import token
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.samples import consent, jpeg, media, patient
from tests.trail import named, said

pytestmark = pytest.mark.anyio

Ask = Callable[[Caller], Awaitable[Response]]


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller(client="the-doctor")


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    stored = await doctor.store(patient("Recorded", id="recorded"))
    await doctor.store(consent(stored["id"]))
    await doctor.store(patient("Unasked", id="without-consent"))
    return str(stored["id"])


@pytest.fixture(scope="module")
async def photo(doctor: Caller, person: str) -> Json:
    return await doctor.store(media(person, jpeg()))


NEW = patient("Recorded")
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "skin"},
    "subject": {"reference": "Patient/recorded"},
}

DONE: dict[str, tuple[Ask, int, str, str]] = {
    "capabilities": (lambda who: who.get("/fhir/metadata"), 200, "capabilities", ""),
    "read": (lambda who: who.get("/fhir/Patient/recorded"), 200, "read", "Patient/recorded"),
    "vread": (lambda who: who.get("/fhir/Patient/recorded/_history/1"), 200, "vread", "Patient/recorded"),
    "search": (lambda who: who.get("/fhir/Observation?subject=Patient/recorded"), 200, "search", ""),
    "search by name": (lambda who: who.get("/fhir/Patient?name=Recorded"), 200, "search", "Patient/recorded"),
    "search by post": (lambda who: who.post("/fhir/Patient/_search?_id=recorded"), 200, "search", "Patient/recorded"),
    "empty search": (lambda who: who.get("/fhir/Patient?_id=nobody"), 200, "search", ""),
    "create": (lambda who: who.post("/fhir/Observation", OBSERVATION), 201, "create", "Patient/recorded"),
    "update": (
        lambda who: who.put("/fhir/Patient/recorded", {**NEW, "id": "recorded"}),
        200,
        "update",
        "Patient/recorded",
    ),
    "delete nothing": (lambda who: who.delete("/fhir/Observation/never-was"), 204, "delete", ""),
    "empty transaction": (lambda who: who.post("/fhir", batch("transaction")), 200, "transaction", ""),
}

REFUSED: dict[str, tuple[Ask, int]] = {
    "unknown id": (lambda who: who.get("/fhir/Patient/never-was"), 404),
    "unknown version": (lambda who: who.get("/fhir/Patient/recorded/_history/99"), 404),
    "unknown type": (lambda who: who.get("/fhir/Nothing/1"), 404),
    "unknown operation": (lambda who: who.get("/fhir/Patient/$nothing"), 404),
    "no JSON": (lambda who: who.post("/fhir/Patient", b"{"), 400),
    "other type": (lambda who: who.post("/fhir/Patient", OBSERVATION), 400),
    "other id": (lambda who: who.put("/fhir/Patient/recorded", {**NEW, "id": "other"}), 400),
    "unknown parameter": (lambda who: who.get("/fhir/Patient?colour=red"), 400),
    "media type": (lambda who: who.post("/fhir/Patient", "<Patient/>", Content_Type="application/fhir+xml"), 415),
    "no JSON wanted": (lambda who: who.get("/fhir/Patient/recorded", Accept="text/html"), 406),
    "too large": (lambda who: who.post("/fhir/Patient", b" " * 33_000_000), 413),
    "method": (lambda who: who.ask("POST", "/fhir/Patient/recorded"), 405),
    "stale version": (lambda who: who.put("/fhir/Patient/recorded", {**NEW, "id": "recorded"}, If_Match='W/"99"'), 412),
    "invalid": (lambda who: who.post("/fhir/Observation", {**OBSERVATION, "status": "nope"}), 422),
    "no such address": (lambda who: who.get("/fhir/Patient/recorded/nothing/here"), 404),
    "no legal basis": (lambda who: who.post("/fhir/Media", media("without-consent", jpeg())), 403),
    "no bundle": (lambda who: who.post("/fhir", NEW), 400),
}


@pytest.mark.parametrize("what", DONE)
async def test_s_95_what_was_done_is_recorded(clinic: InProcess, doctor: Caller, person: str, what: str) -> None:
    ask, status, interaction, touched = DONE[what]

    async with clinic.trail.recording() as recorded:
        answer = await ask(doctor)

    assert answer.status_code == status, answer.text
    events = recorded.events
    assert events, "nothing was recorded"
    assert {said(event)[1] for event in events} == {"0"}
    assert all(interaction in said(event)[0] for event in events), [said(event) for event in events]
    if touched:
        assert any(touched in {name.split("/_history")[0] for name in named(event)} for event in events)
    assert all(answer.headers["x-request-id"] in str(event) for event in events)
    if what != "capabilities":
        assert all("the-doctor" in str(event["agent"]) for event in events)


@pytest.mark.parametrize("what", REFUSED)
async def test_s_95_what_was_refused_is_recorded(clinic: InProcess, doctor: Caller, person: str, what: str) -> None:
    ask, status = REFUSED[what]

    async with clinic.trail.recording() as recorded:
        answer = await ask(doctor)

    assert answer.status_code == status, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert said(recorded.only)[1] in {"4", "8"}
    assert answer.headers["x-request-id"] in str(recorded.only)


@pytest.mark.parametrize(
    ("who", "status"), [("nobody", 401), ("a liar", 401), ("without scope", 403), ("somebody else", 404)]
)
@pytest.mark.parametrize("path", ["Patient/recorded", "Patient/recorded/_history/1", "photo"])
async def test_who_was_refused_is_recorded(
    clinic: InProcess, person: str, photo: Json, who: str, status: int, path: str
) -> None:
    callers = {
        "nobody": clinic.stranger,
        "a liar": Caller(clinic.http, {"Authorization": "Bearer nonsense"}),
        "without scope": clinic.caller("system/Observation.rs"),
        "somebody else": clinic.caller("patient/*.rs", patient="another"),
    }
    asked = photo["content"]["url"] if path == "photo" else path

    async with clinic.trail.recording() as recorded:
        answer = await callers[who].get(f"/fhir/{asked}")

    assert answer.status_code == status
    assert said(recorded.only)[1] in {"4", "8"}


async def test_a_photo_that_is_shown_is_recorded_with_the_consent_it_rests_on(
    clinic: InProcess, doctor: Caller, person: str, photo: Json
) -> None:
    async with clinic.trail.recording() as recorded:
        await doctor.get(f"/fhir/{photo['content']['url']}")

    assert said(recorded.only)[1] == "0"
    assert f"Patient/{person}" in named(recorded.only)
    assert any(name.startswith("Consent/") and name.endswith("/_history/1") for name in named(recorded.only))


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_each_entry_of_a_bundle_is_recorded_as_what_it_is(
    clinic: InProcess, doctor: Caller, person: str, kind: str
) -> None:
    bundle = batch(
        kind,
        ("POST", "Patient", NEW),
        ("PUT", "Patient/recorded-too", {**NEW, "id": "recorded-too"}),
        ("DELETE", "Patient/recorded-two", None),
        ("GET", "Patient/recorded", None),
        ("GET", "Patient?_id=recorded", None),
    )
    await doctor.store(patient(id="recorded-two"))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post("/fhir", bundle)

    assert answer.status_code == 200, answer.text
    seen = [said(event) for event in recorded.events]
    for code, outcome in [("create", "0"), ("update", "0"), ("delete", "0"), ("read", "0"), ("search", "0")]:
        assert [one for one in seen if code in one[0] and one[1] == outcome], (code, seen)


async def test_a_refused_entry_of_a_batch_is_recorded_beside_the_others(clinic: InProcess, doctor: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        await doctor.post("/fhir", batch("batch", ("GET", "Patient/never-was", None), ("GET", "Nothing/1", None)))

    assert len(recorded.events) >= 2
    assert {said(event)[1] for event in recorded.events} == {"4"}


async def test_a_bundle_that_fails_is_recorded_and_nothing_of_it_is_done(clinic: InProcess, doctor: Caller) -> None:
    before = await clinic.counts()

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir", batch("transaction", ("POST", "Patient", NEW), ("POST", "Observation", NEW))
        )

    assert answer.status_code == 400
    assert await clinic.counts() == before
    assert {said(event)[1] for event in recorded.events} <= {"4", "8"}
    assert recorded.events


async def test_a_photo_that_met_a_withdrawal_is_recorded(clinic: InProcess, doctor: Caller) -> None:
    """The commit finds the epoch moved: whatever the answer, it stands in the log."""
    someone = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(someone))
    vault = clinic.clinic.store.photos
    pour = type(vault).pour

    async def withdrawn_meanwhile(*taken: Any) -> Any:
        await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")
        return await pour(*taken)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(vault), "pour", withdrawn_meanwhile)
        async with clinic.trail.recording() as recorded:
            answer = await doctor.post("/fhir/Media", media(someone, jpeg()))

    assert answer.status_code == 403
    mine = [event for event in recorded.events if answer.headers["x-request-id"] in str(event)]
    assert [said(event)[1] for event in mine] == ["4"]


async def test_an_issued_token_is_recorded(clinic: InProcess) -> None:
    asked = Namespace(role=None, scope="system/*.rs", patient=None, fhir_user=None, lifetime=None, purpose=None)
    arguments = token._claims(clinic.clinic.settings, asked)

    async with clinic.trail.recording() as recorded:
        issued = await token.issue(clinic.clinic.settings, arguments)

    assert issued.count(".") == 2
    assert issued not in str(recorded.only)
    assert said(recorded.only)[1] == "0"
