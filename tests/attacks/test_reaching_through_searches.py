"""Asking one's own search about what belongs to somebody else: every hop has to be one's own."""

import pytest

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]


def observation(patient_id: str, **more: object) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject, **more}


class Two:
    """A victim, and a foe with a token for everything of their own; both are in one group and on one list."""

    def __init__(self, clinic: InProcess, doctor: Caller) -> None:
        self.clinic, self.doctor = clinic, doctor

    async def begin(self) -> "Two":
        self.victim = (await self.doctor.store(patient(MARK, gender="male")))["id"]
        self.foe = (await self.doctor.store(patient("Foe", gender="female")))["id"]
        self.theirs = (await self.doctor.store(observation(self.victim, status="amended")))["id"]
        self.mine = (await self.doctor.store(observation(self.foe)))["id"]
        crooked = {"focus": [{"reference": f"Patient/{self.victim}"}], "hasMember": [self._to(self.theirs)]}
        self.pointing = (await self.doctor.store(observation(self.foe, **crooked)))["id"]
        member = [{"entity": {"reference": f"Patient/{each}"}} for each in (self.victim, self.foe)]
        group = {"resourceType": "Group", "type": "person", "actual": True, "name": "Club", "member": member}
        self.group = (await self.doctor.store(group))["id"]
        self.caller = self.clinic.caller("patient/*.cruds", patient=self.foe)
        return self

    def _to(self, observation: str) -> Json:
        return {"reference": f"Observation/{observation}"}


@pytest.fixture(scope="module")
async def two(clinic: InProcess) -> Two:
    return await Two(clinic, clinic.caller()).begin()


def ids(bundle: Json) -> set[str]:
    return {entry["resource"]["id"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"}


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ("Observation?subject:Patient.name=Foe", f"Observation?subject:Patient.name={MARK}"),
        ("Observation?subject.gender=female", "Observation?subject.gender=male"),
        ("Patient?_has:Observation:patient:status=final", "Patient?_has:Observation:patient:status=amended"),
        ("Observation?has-member:Observation.status:missing=true", "Observation?has-member:Observation.status=amended"),
        ("Observation?focus:Patient.name:missing=true", f"Observation?focus:Patient.name={MARK}"),
        ("Patient?_has:Group:member:type=animal", f"Observation?patient._has:Group:member:identifier={MARK}"),
    ],
)
async def test_r_smart_052_a_chain_answers_for_ones_own_alone(two: Two, own: str, others: str) -> None:
    assert not ids(read(await two.caller.get(f"/fhir/{others}")))
    assert (await two.caller.get(f"/fhir/{own}")).status_code == 200
    assert ids(read(await two.doctor.get(f"/fhir/{others}"))) or "identifier" in others


async def test_a_chain_finds_ones_own(two: Two) -> None:
    found = read(await two.caller.get("/fhir/Observation?subject:Patient.name=Foe"))

    assert ids(found) == {two.mine, two.pointing}
    assert found["total"] == 2


async def test_r_smart_060_the_totals_tell_nothing_of_others(two: Two) -> None:
    for query in ("Observation?subject.gender=male", "Patient?_has:Observation:patient:status=amended"):
        for more in ("&_summary=count", "&_total=accurate"):
            assert read(await two.caller.get(f"/fhir/{query}{more}"))["total"] == 0


async def test_r_smart_060_a_chain_through_a_type_without_a_scope_is_forbidden(two: Two) -> None:
    nurse = two.clinic.caller("system/Observation.rs")

    for path in (
        f"Observation?subject:Patient.name={MARK}",
        "Observation?patient.gender=male",
        "Observation?_has:Provenance:target:agent=Practitioner/1",
        "Observation?_has:AuditEvent:entity:action=R",
    ):
        assert (await nurse.get(f"/fhir/{path}")).status_code == 403


async def test_a_list_without_a_scope_lists_nothing(two: Two) -> None:
    item = [{"item": {"reference": f"Observation/{two.mine}"}}]
    made = await two.doctor.store({"resourceType": "List", "status": "current", "mode": "working", "entry": item})
    path = f"/fhir/Observation?_list={made['id']}"

    assert ids(read(await two.doctor.get(path))) == {two.mine}
    assert not ids(read(await two.clinic.caller("system/Observation.rs").get(path)))
    assert not ids(read(await two.caller.get(path))), "the list names no patient and lies in no compartment"


def brought(bundle: Json) -> set[str]:
    return {entry["resource"]["id"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "include"}


@pytest.mark.parametrize(
    "path",
    [
        "Observation?patient={foe}&_include=Observation:focus",
        "Observation?patient={foe}&_include=Observation:has-member",
        "Observation?patient={foe}&_include=*&_include:iterate=*",
        "Patient?_id={foe}&_revinclude=*&_include:iterate=*",
        "Patient?_id={foe}&_revinclude=Group:member&_include:iterate=Group:member",
        "Group?member={foe}&_include=Group:member",
        "Observation?subject={foe},{victim}",
        "Patient/{victim}/Observation?status:missing=false",
        "Patient/{victim}/*?_lastUpdated=ge2000",
        "Patient/{victim}/*?_type=Patient,Observation&_sort=_id",
        "?_type=Patient,Observation&_id={victim},{foe}",
        "?_id={victim},{theirs}&_total=accurate",
        "?_type=Observation&patient={victim},{foe}",
    ],
)
async def test_r_smart_052_an_include_brings_ones_own_alone(two: Two, path: str) -> None:
    path = path.format(victim=two.victim, foe=two.foe, theirs=two.theirs)
    path = path if path[0] == "?" else f"/{path}"
    answer = await two.caller.get(f"/fhir{path}")
    mine, everybodys = read(answer), read(await two.doctor.get(f"/fhir{path}"))

    assert answer.status_code == 200
    assert not {two.victim, two.theirs} & (brought(mine) | ids(mine))
    assert MARK not in answer.text
    assert {two.victim, two.theirs} & (brought(everybodys) | ids(everybodys))


async def test_r_smart_060_an_include_without_a_scope_brings_nothing(two: Two) -> None:
    nurse = two.clinic.caller("system/Observation.rs")

    page = read(await nurse.get(f"/fhir/Observation?_id={two.mine}&_include=*&_revinclude=*"))

    assert ids(page) == {two.mine}
    assert brought(page) == set()
