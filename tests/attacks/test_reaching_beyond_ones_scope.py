"""Asking for more than was granted: another patient's resources, another letter, another type, on every path."""

from collections.abc import Awaitable, Callable

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

ALL_OF_A_PATIENT = ("patient/*.cruds",)


def observation(patient_id: str, **more: object) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": MARK},
        "subject": subject,
        **more,
    }


class Victim:
    """A patient with one of each; `foe` is another one, with a token for everything of theirs."""

    def __init__(self, clinic: InProcess, doctor: Caller) -> None:
        self.clinic, self.doctor = clinic, doctor

    async def begin(self) -> "Victim":
        self.id = (await self.doctor.store(patient(MARK)))["id"]
        self.foe_id = (await self.doctor.store(patient()))["id"]
        self.foe = self.clinic.caller(*ALL_OF_A_PATIENT, patient=self.foe_id)
        self.observation = (await self.doctor.store(observation(self.id)))["id"]
        self.consent = await self.doctor.store(consent(self.id))
        self.media = await self.doctor.store(media(self.id, jpeg()))
        return self


@pytest.fixture(scope="module")
async def victim(clinic: InProcess) -> Victim:
    return await Victim(clinic, clinic.caller()).begin()


async def test_r_fhir_028_reading_what_is_anothers_is_like_reading_nothing(victim: Victim, watch: Watch) -> None:
    for path in (
        f"Patient/{victim.id}",
        f"Patient/{victim.id}/_history/1",
        f"Observation/{victim.observation}",
        f"Observation/{victim.observation}/_history/1",
        f"Media/{victim.media['id']}",
        f"Consent/{victim.consent['id']}",
        str(victim.media["content"]["url"]),
    ):
        hidden = await victim.foe.get(f"/fhir/{path}")
        watch.refused(hidden, 404)
        unknown = await victim.foe.get("/fhir/Observation/0000")
        assert read(hidden)["issue"] == read(unknown)["issue"]


@pytest.mark.parametrize("query", ["", "?_id={id}", "?name={mark}", "?_summary=count", "?_total=accurate&_count=1"])
async def test_r_fhir_057_a_search_gives_and_counts_only_ones_own(victim: Victim, query: str) -> None:
    asked = query.format(id=victim.id, mark=MARK)

    answer = await victim.foe.get(f"/fhir/Patient{asked}")

    found = read(answer)
    assert answer.status_code == 200
    assert {entry["resource"]["id"] for entry in found.get("entry", [])} <= {victim.foe_id}
    assert found.get("total", 0) <= 1
    assert victim.id not in answer.text.replace(f"_id={victim.id}", "")


@pytest.mark.parametrize(
    "path",
    [
        "Observation?subject=Patient/{}",
        "Observation?patient={}",
        "Media?subject={}",
        "Consent?patient={}",
        "Observation",
    ],
)
async def test_a_compartment_search_stays_inside(victim: Victim, path: str) -> None:
    answer = await victim.foe.get(f"/fhir/{path.format(victim.id)}")

    assert answer.status_code == 200
    assert "entry" not in read(answer)
    assert read(answer).get("total", 0) == 0


@pytest.mark.parametrize(
    "path",
    [
        "Observation?_filter=code eq x",
        "Observation?_query=everything",
        "Patient?_contained=true",
    ],
)
async def test_a_way_round_by_another_type_is_refused_while_it_is_not_built(
    victim: Victim, watch: Watch, path: str
) -> None:
    answer = await victim.foe.get(f"/fhir/{path}")

    watch.refused(answer, answer.status_code)
    assert answer.status_code in {400, 403, 404, 405}


async def test_writing_into_anothers_file_is_refused(victim: Victim, watch: Watch) -> None:
    foe = victim.foe

    watch.refused(await foe.put(f"/fhir/Patient/{victim.id}", patient(MARK, id=victim.id)), 404)
    watch.refused(await foe.post("/fhir/Observation", observation(victim.id)), 403)
    mine = observation(victim.foe_id, id=victim.observation)
    watch.refused(await foe.put(f"/fhir/Observation/{victim.observation}", mine), 404)
    theirs = observation(victim.id, id="fresh")
    watch.refused(await foe.put("/fhir/Observation/fresh", theirs), 403)
    watch.refused(await foe.post("/fhir/Media", media(victim.id, jpeg())), 403)
    watch.refused(await foe.post("/fhir/Consent", consent(victim.id)), 403)
    watch.refused(await foe.post(f"/fhir/Consent/{victim.consent['id']}/$withdraw"), 404)
    for path in (f"Patient/{victim.id}", f"Observation/{victim.observation}", f"Consent/{victim.consent['id']}"):
        assert (await foe.delete(f"/fhir/{path}")).status_code == 204, "as for an id that was never used"
        assert (await victim.doctor.get(f"/fhir/{path}")).status_code == 200


async def test_ones_own_resource_is_not_moved_into_anothers_file(victim: Victim) -> None:
    mine = read(await victim.foe.post("/fhir/Observation", observation(victim.foe_id)))

    moved = await victim.foe.put(f"/fhir/Observation/{mine['id']}", observation(victim.id, id=mine["id"]))

    assert moved.status_code == 403


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_an_entry_of_a_bundle_opens_no_other_door(victim: Victim, kind: str) -> None:
    def entry(method: str, url: str, resource: Json | None = None) -> Json:
        return {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}

    attempts = [
        (entry("GET", f"Patient/{victim.id}"), {"404"}),
        (entry("GET", f"Patient?_id={victim.id}"), {"200"}),
        (entry("PUT", f"Patient/{victim.id}", patient(MARK, id=victim.id)), {"404"}),
        (entry("POST", "Observation", observation(victim.id)), {"403"}),
        (entry("DELETE", f"Observation/{victim.observation}"), {"204"}),
    ]
    for one, statuses in attempts:
        before = await victim.clinic.counts()
        answer = await victim.foe.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [one]})
        assert MARK not in answer.text
        assert await victim.clinic.counts() == before
        if answer.status_code == 200:
            [got] = read(answer)["entry"]
            assert got["response"]["status"] in statuses
            assert got.get("resource", {}).get("total", 0) == 0
        else:
            assert str(answer.status_code) in statuses


@pytest.mark.parametrize("version", ['W/"1"', 'W/"2"', 'W/"99"'])
async def test_a_guess_at_the_version_does_not_tell_whether_there_is_something(victim: Victim, version: str) -> None:
    """Where the id was never used and where it is another's, the answer is the same."""
    answers = []
    for id in (victim.observation, "never-used-by-anybody"):
        written = await victim.foe.put(f"/fhir/Observation/{id}", observation(victim.foe_id, id=id), If_Match=version)
        deleted = await victim.foe.delete(f"/fhir/Observation/{id}", If_Match=version)
        answers.append((written.status_code, deleted.status_code))

    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("scopes", "context"),
    [
        (("patient/*.cruds",), {}),
        (("openid", "fhirUser", "launch/patient"), {}),
        (("system/Patient",), {}),
        (("system/*.sdurc",), {}),
        (("system/*.",), {}),
        (("SYSTEM/*.CRUDS",), {}),
        (("system/patient.rs",), {}),
        (("system/Patient.rs?nonsense=x",), {}),
        (("admin/*.cruds",), {}),
        (("system/Patient.c", "system/Observation.rs"), {}),
    ],
)
async def test_what_is_no_scope_for_it_grants_nothing(
    clinic: InProcess, victim: Victim, watch: Watch, scopes: tuple[str, ...], context: dict[str, str]
) -> None:
    holder = clinic.caller(*scopes, **context)

    watch.refused(await holder.get(f"/fhir/Patient/{victim.id}"), 403)
    watch.refused(await holder.get("/fhir/Patient"), 403)


LETTERS: dict[str, Callable[[Caller, "Victim"], Awaitable[Response]]] = {
    "c": lambda who, victim: who.post("/fhir/Observation", observation(victim.id)),
    "r": lambda who, victim: who.get(f"/fhir/Observation/{victim.observation}"),
    "u": lambda who, victim: who.put("/fhir/Observation/new-one", observation(victim.id, id="new-one")),
    "d": lambda who, _: who.delete("/fhir/Observation/nothing"),
    "s": lambda who, _: who.get("/fhir/Observation?_id=nothing"),
}


@pytest.mark.parametrize("granted", "cruds")
async def test_a_letter_grants_its_own_interaction_and_no_other(
    clinic: InProcess, victim: Victim, granted: str
) -> None:
    holder = clinic.caller(f"user/Observation.{granted}")

    for letter, act in LETTERS.items():
        assert ((await act(holder, victim)).status_code == 403) == (letter != granted), letter


async def test_who_may_write_and_not_read_is_not_shown_what_is_there(clinic: InProcess, victim: Victim) -> None:
    writer = clinic.caller("system/Observation.cu")

    created = await writer.post("/fhir/Observation", observation(victim.id))
    updated = await writer.put("/fhir/Observation/w", observation(victim.id, id="w"))

    assert (created.status_code, created.content) == (201, b"")
    assert updated.content == b""


async def test_everything_does_not_include_the_log(clinic: InProcess, watch: Watch) -> None:
    watch.refused(await clinic.caller("system/*.cruds").get("/fhir/AuditEvent"), 403)
    watch.refused(await clinic.caller("system/*.cruds").get("/fhir/AuditEvent/a-1"), 403)
