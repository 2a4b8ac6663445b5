"""Granular scopes, wherever a resource may come in or go out: what does not meet the scope is not there."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.flows.exporting import exported
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB, SOCIAL = f"{CATEGORY}|laboratory", f"{CATEGORY}|social-history"


def observation(patient_id: str, *categories: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": code}]} for code in categories] or [{"text": "x"}],
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient_id}"},
        **more,
    }


def ids(bundle: Json) -> set[str]:
    return {entry["resource"]["id"] for entry in bundle.get("entry", [])}


class Lab:
    """One patient with observations of two categories, one of them of both; and a stranger with one."""

    def __init__(self, clinic: InProcess) -> None:
        self.clinic, self.doctor = clinic, clinic.caller()

    async def begin(self) -> "Lab":
        self.patient: str = (await self.doctor.store(patient("Granular")))["id"]
        self.stranger: str = (await self.doctor.store(patient("Stranger")))["id"]
        self.lab = await self._stored(observation(self.patient, "laboratory"))
        self.social = await self._stored(observation(self.patient, "social-history"))
        self.both = await self._stored(observation(self.patient, "laboratory", "social-history", status="amended"))
        self.none = await self._stored(observation(self.patient))
        self.theirs = await self._stored(observation(self.stranger, "laboratory"))
        return self

    async def _stored(self, resource: Json) -> str:
        return str((await self.doctor.store(resource))["id"])

    def holder(self, *scopes: str) -> Caller:
        return self.clinic.caller(*scopes, patient=self.patient)


@pytest.fixture(scope="module")
async def lab(clinic: InProcess) -> Lab:
    """To be looked at."""
    return await Lab(clinic).begin()


@pytest.fixture
async def fresh(clinic: InProcess) -> Lab:
    """To be written to."""
    return await Lab(clinic).begin()


async def test_r_smart_058_what_does_not_meet_the_scope_is_not_read(lab: Lab) -> None:
    who = lab.holder(f"patient/Observation.rs?category={LAB}")

    for path in ("{}", "{}/_history", "{}/_history/1"):
        for id, status in ((lab.lab, 200), (lab.both, 200), (lab.social, 404), (lab.none, 404), (lab.theirs, 404)):
            answer = await who.get(f"/fhir/Observation/{path.format(id)}")
            assert answer.status_code == status, (path, id)
    hidden, unknown = [read(await who.get(f"/fhir/Observation/{id}")) for id in (lab.social, "0000")]
    assert hidden["issue"] == unknown["issue"]


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        ([f"category={LAB}"], {"lab", "both"}),
        ([f"category={LAB.replace('|', '%7C').replace('/', '%2F')}"], {"lab", "both"}),
        (["category=laboratory"], {"lab", "both"}),
        ([f"category={LAB}", f"category={SOCIAL}"], {"lab", "both", "social"}),
        ([f"category={LAB},{SOCIAL}"], {"lab", "both", "social"}),
        ([f"category={LAB}&category={SOCIAL}"], {"both"}),
        ([f"category={LAB}&status=amended"], {"both"}),
        ([f"category={LAB}&status=amended", f"category={SOCIAL}&status=final"], {"both", "social"}),
    ],
)
@pytest.mark.parametrize("asked", ["", f"category={LAB}", f"category={SOCIAL}", "status=final", "code:missing=false"])
async def test_r_smart_059_a_search_is_the_full_result_less_what_the_scope_withholds(
    lab: Lab, scopes: Sequence[str], found: set[str], asked: str
) -> None:
    who = lab.holder(*(f"patient/Observation.rs?{query}" for query in scopes))
    full = ids(read(await lab.doctor.get(f"/fhir/Observation?patient={lab.patient}&{asked}")))
    expected = full & {getattr(lab, name) for name in found}

    searched = read(await who.get(f"/fhir/Observation?{asked}"))
    posted = read(
        await who.post("/fhir/Observation/_search", asked, Content_Type="application/x-www-form-urlencoded")
        if asked
        else await who.get("/fhir/Observation")
    )

    assert ids(searched) == ids(posted) == expected
    assert searched["total"] == len(expected)
    for counting in ("_summary=count", "_total=accurate"):
        assert read(await who.get(f"/fhir/Observation?{asked}&{counting}"))["total"] == len(expected)
    assert ids(read(await who.get("/fhir/Observation/_history"))) == {getattr(lab, name) for name in found}


async def test_r_smart_059_pages_are_full_though_the_scope_withholds(lab: Lab) -> None:
    who = lab.holder(f"patient/Observation.rs?category={LAB}")

    first = read(await who.get("/fhir/Observation?_count=1"))
    [link] = [link["url"] for link in first["link"] if link["relation"] == "next"]
    second = read(await who.get(link))

    assert ids(first) | ids(second) == {lab.lab, lab.both}
    assert not [link for link in second["link"] if link["relation"] == "next"]


async def test_r_smart_057_a_granular_scope_limits_the_letters_it_carries_and_no_other(lab: Lab) -> None:
    who = lab.holder(f"patient/Observation.s?category={LAB}", "patient/Observation.r")

    assert (await who.get(f"/fhir/Observation/{lab.social}")).status_code == 200
    assert ids(read(await who.get("/fhir/Observation"))) == {lab.lab, lab.both}


async def test_r_smart_057_a_scope_of_the_whole_type_makes_it_moot(lab: Lab) -> None:
    who = lab.holder(f"patient/Observation.rs?category={LAB}", "patient/*.rs")

    assert ids(read(await who.get("/fhir/Observation"))) == {lab.lab, lab.both, lab.social, lab.none}


async def test_r_smart_051_contexts_unite(lab: Lab) -> None:
    who = lab.holder(f"user/Observation.rs?category={LAB}", "patient/Observation.rs")

    found = ids(read(await who.get("/fhir/Observation?_count=1000")))

    assert {lab.lab, lab.both, lab.social, lab.none, lab.theirs} <= found
    assert (await who.get(f"/fhir/Observation/{lab.theirs}")).status_code == 200


async def test_r_smart_063_the_scope_holds_before_and_after_a_write(fresh: Lab) -> None:
    who = fresh.holder(f"patient/Observation.cruds?category={LAB}")
    mine, other = observation(fresh.patient, "laboratory"), observation(fresh.patient, "social-history")

    created = await who.post("/fhir/Observation", mine)
    assert created.status_code == 201
    id = read(created)["id"]
    assert (await who.post("/fhir/Observation", other)).status_code == 403
    assert (await who.put(f"/fhir/Observation/{id}", {**other, "id": id})).status_code == 403
    assert (await who.put(f"/fhir/Observation/{fresh.social}", {**mine, "id": fresh.social})).status_code == 404
    assert (await who.put("/fhir/Observation/fresh", {**other, "id": "fresh"})).status_code == 403
    turned = '[{"op": "replace", "path": "/category/0/coding/0/code", "value": "social-history"}]'
    for target, status in ((id, 403), (fresh.social, 404)):
        path = f"/fhir/Observation/{target}"
        patched = await who.ask("PATCH", path, turned, Content_Type="application/json-patch+json")
        assert patched.status_code == status
    await who.delete(f"/fhir/Observation/{fresh.social}")
    assert (await fresh.doctor.get(f"/fhir/Observation/{fresh.social}")).status_code == 200
    assert (await who.delete(f"/fhir/Observation/{id}")).status_code == 204


async def test_r_smart_049_a_condition_tells_of_nothing_outside_the_scope(fresh: Lab) -> None:
    hidden = observation(fresh.patient, "social-history", identifier=[{"system": "urn:g", "value": "hidden"}])
    id = (await fresh.doctor.store(hidden))["id"]
    who = fresh.holder(f"patient/Observation.cruds?category={LAB}")
    same = observation(fresh.patient, "laboratory", identifier=[{"system": "urn:g", "value": "hidden"}])

    created = await who.post("/fhir/Observation", same, If_None_Exist="identifier=urn:g|hidden")

    assert created.status_code == 201
    assert read(created)["id"] != id


async def test_r_smart_050_entries_of_a_bundle_are_decided_each_by_itself(fresh: Lab) -> None:
    who = fresh.holder(f"patient/Observation.cruds?category={LAB}")
    good = {"request": {"method": "POST", "url": "Observation"}, "resource": observation(fresh.patient, "laboratory")}
    bad = {
        "request": {"method": "POST", "url": "Observation"},
        "resource": observation(fresh.patient, "social-history"),
    }
    reads = [{"request": {"method": "GET", "url": f"Observation/{id}"}} for id in (fresh.lab, fresh.social)]
    search = {"request": {"method": "GET", "url": "Observation?status=final"}}

    batch = {"resourceType": "Bundle", "type": "batch", "entry": [good, bad, *reads, search]}
    answers = read(await who.post("/fhir", batch))["entry"]
    transaction = await who.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [good, bad]})

    assert [answer["response"]["status"][:3] for answer in answers] == ["201", "403", "200", "404", "200"]
    assert fresh.lab in ids(answers[4]["resource"])
    assert not {fresh.social, fresh.none, fresh.theirs} & ids(answers[4]["resource"])
    assert transaction.status_code == 403


async def test_r_smart_060_the_bytes_of_a_photo_follow_its_media(clinic: InProcess) -> None:
    doctor = clinic.caller()
    person = (await doctor.store(patient("Granular")))["id"]
    await doctor.store(consent(person))
    view = {"coding": [{"system": "urn:view", "code": "front"}]}
    front = await doctor.store(media(person, jpeg(), view=view))
    side = await doctor.store(media(person, jpeg()))
    who = clinic.caller("patient/Media.rs?view=urn:view|front", patient=person)

    for one, status in ((front, 200), (side, 404)):
        for path in (f"Media/{one['id']}", one["content"]["url"]):
            assert (await who.get(f"/fhir/{path}")).status_code == status
            assert (await who.get(f"/fhir/{path}", Range="bytes=0-9")).status_code in {status, status + 6}
        as_fhir = await who.get(f"/fhir/{one['content']['url']}", Accept="application/fhir+json")
        assert as_fhir.status_code == status
        if status == 200:
            assert base64.b64decode(read(as_fhir)["data"])
    assert ids(read(await who.get("/fhir/Media"))) == {front["id"]}


async def test_r_smart_066_a_version_is_shown_only_if_it_met_the_scope_and_meets_it_now(fresh: Lab) -> None:
    person = fresh.patient
    became = (await fresh.doctor.store(observation(person, "social-history")))["id"]
    await fresh.doctor.store({**observation(person, "laboratory"), "id": became})
    was = (await fresh.doctor.store(observation(person, "laboratory")))["id"]
    await fresh.doctor.store({**observation(person, "social-history"), "id": was})
    who = fresh.holder(f"patient/Observation.rs?category={LAB}")

    history = read(await who.get(f"/fhir/Observation/{became}/_history"))

    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2"]
    assert (await who.get(f"/fhir/Observation/{was}/_history")).status_code == 404
    assert was not in ids(read(await who.get("/fhir/Observation/_history")))


async def test_r_smart_062_a_scope_that_is_not_understood_opens_nothing(lab: Lab) -> None:
    who = lab.holder(f"patient/Observation.rs?category:not={LAB}", "patient/Observation.rs?nonsense=1")

    assert (await who.get("/fhir/Observation")).status_code == 403
    assert (await who.get(f"/fhir/Observation/{lab.lab}")).status_code == 403


async def test_a_back_ends_granular_scope_is_held_too(lab: Lab) -> None:
    who = lab.clinic.caller(f"system/Observation.rs?category={LAB}&patient=Patient/{lab.stranger}")

    assert ids(read(await who.get("/fhir/Observation"))) == {lab.theirs}
    assert (await who.get(f"/fhir/Observation/{lab.lab}")).status_code == 404


US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CONDITIONS = "http://terminology.hl7.org/CodeSystem/condition-category"
CODED = {
    "Observation": [
        *((CATEGORY, code) for code in ("laboratory", "social-history", "vital-signs", "survey")),
        (f"{US_CORE}/us-core-category", "sdoh"),
    ],
    "Condition": [
        *((CONDITIONS, code) for code in ("encounter-diagnosis", "problem-list-item")),
        (f"{US_CORE}/condition-category", "health-concern"),
    ],
}


@pytest.mark.parametrize("type", CODED)
async def test_r_smart_061_each_category_of_us_core_is_read_and_found_by_its_own_scope(fresh: Lab, type: str) -> None:
    base: Json = {"resourceType": type, "subject": {"reference": f"Patient/{fresh.patient}"}, "code": {"text": "x"}}
    base |= {"status": "final"} if type == "Observation" else {}
    stored = {
        (system, code): (
            await fresh.doctor.store({**base, "category": [{"coding": [{"system": system, "code": code}]}]})
        )["id"]
        for system, code in CODED[type]
    }

    for (system, code), own in stored.items():
        scope = f"patient/{type}.rs?category={system}|{code}"
        who = fresh.holder(scope)
        assert own in (found := ids(read(await who.get(f"/fhir/{type}"))))
        assert not found & (set(stored.values()) - {own})
        for id in stored.values():
            assert (await who.get(f"/fhir/{type}/{id}")).status_code == (200 if id == own else 404)


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_revinclude=Observation:subject",
        "Patient?_revinclude=*",
        "Patient?_include=*&_revinclude=*",
        "Observation?category=laboratory&_include=Observation:has-member",
        "Observation?category=laboratory&_include:iterate=*",
        "Observation?category=laboratory&_revinclude=Observation:has-member",
    ],
)
async def test_r_smart_060_what_comes_along_meets_the_scope_too(lab: Lab, query: str) -> None:
    members = [{"reference": f"Observation/{id}"} for id in (lab.social, lab.both, lab.none, lab.theirs)]
    panel = (await lab.doctor.store({**observation(lab.stranger, "social-history"), "hasMember": members}))["id"]
    who = lab.holder("patient/Patient.rs", f"patient/Observation.rs?category={LAB}")

    found = ids(read(await who.get(f"/fhir/{query}")))

    assert lab.both in found
    assert not found & {lab.social, lab.none, lab.theirs, panel}


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("Patient?_has:Observation:subject:category=laboratory", True),
        ("Patient?_has:Observation:subject:category=social-history&_has:Observation:subject:status=amended", True),
        ("Patient?_has:Observation:subject:_id={social}", False),
        ("Patient?_has:Observation:subject:_id={lab}", True),
        ("Observation?has-member:Observation._id={social}", False),
        ("Observation?has-member:Observation._id={both}", True),
    ],
)
async def test_r_smart_060_links_lead_through_what_meets_the_scope_alone(
    fresh: Lab, query: str, *, is_found: bool
) -> None:
    members = [{"reference": f"Observation/{id}"} for id in (fresh.social, fresh.both)]
    await fresh.doctor.store({**observation(fresh.patient, "laboratory"), "hasMember": members})
    who = fresh.holder("patient/Patient.rs", f"patient/Observation.rs?category={LAB}")

    page = read(await who.get(f"/fhir/{query.format(social=fresh.social, lab=fresh.lab, both=fresh.both)}"))

    assert bool(page.get("entry")) is is_found
    assert page["total"] == int(is_found)


async def test_r_smart_066_what_was_deleted_hinders_no_history_of_a_type(fresh: Lab) -> None:
    for id in (fresh.lab, fresh.social, fresh.theirs):
        assert (await fresh.doctor.delete(f"/fhir/Observation/{id}")).status_code == 204
    who = fresh.holder(f"patient/Observation.rs?category={LAB}")

    answer = await who.get("/fhir/Observation/_history")

    assert answer.status_code == 200, answer.text
    assert fresh.both in ids(read(answer))
    assert (await who.get("/fhir/Observation?status=final")).status_code == 200


async def test_r_smart_052_an_operation_on_the_record_gives_what_meets_the_scope(lab: Lab) -> None:
    who = lab.holder("patient/Patient.rs", f"patient/Observation.rs?category={LAB}")

    everything = read(await who.get(f"/fhir/Patient/{lab.patient}/$everything"))
    typed = read(await who.get(f"/fhir/Patient/{lab.patient}/$everything?_type=Observation"))
    summary = read(await who.get(f"/fhir/Patient/{lab.patient}/$summary"))
    search = ("GET", f"Patient/{lab.patient}/*?_type=Observation", None)
    [listed] = read(await who.post("/fhir", batch("batch", search)))["entry"]

    assert ids(everything) == {lab.patient, lab.lab, lab.both}
    assert ids(typed) - {lab.patient} == ids(listed["resource"]) == {lab.lab, lab.both}
    assert not {lab.social, lab.none, lab.theirs} & ids(summary)
    for path in (f"Patient/{lab.stranger}/$everything", f"Patient/{lab.stranger}/$summary"):
        assert (await who.get(f"/fhir/{path}")).status_code == 404


async def test_r_smart_060_an_operation_on_a_photo_is_for_one_that_meets_the_scope(clinic: InProcess) -> None:
    doctor = clinic.caller()
    person = (await doctor.store(patient("Granular")))["id"]
    await doctor.store(consent(person))
    view = {"coding": [{"system": "urn:view", "code": "front"}]}
    front = await doctor.store(media(person, jpeg(), view=view))
    side = await doctor.store(media(person, jpeg()))
    service = clinic.caller("system/Media.cruds?view=urn:view|front", "system/Binary.cruds")

    def given(**values: Json) -> Json:
        return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in values.items()]}

    kind = given(kind={"valueCode": "thumbnail"})
    other = given(other={"valueReference": {"reference": f"Media/{front['id']}"}})
    link = given(channel={"valueCode": "email"})
    moved = given(patient={"valueReference": {"reference": f"Patient/{person}"}}, reason={"valueString": "Mistaken"})
    asked = (("$rendition", kind), ("$compare", other), ("$share", link), ("$reassign", moved), ("$upload", given()))

    statuses = {
        name: (await service.post(f"/fhir/Media/{side['id']}/{name}", body)).status_code for name, body in asked
    }
    timeline = read(await service.get(f"/fhir/Media/$timeline?patient=Patient/{person}"))

    assert statuses == dict.fromkeys(statuses, 404)
    assert (await service.post(f"/fhir/Media/{front['id']}/$rendition", kind)).status_code in {200, 201}
    assert side["id"] not in str(timeline)
    assert front["id"] in str(timeline)


async def test_r_smart_060_a_bulk_file_holds_what_meets_the_scope(lab: Lab) -> None:
    service = lab.clinic.caller(f"system/Observation.rs?category={LAB}", client="bulk-granular")
    only = "&".join(f"_typeFilter=Observation%3Fpatient%3D{each}" for each in (lab.patient, lab.stranger))

    found = await exported(lab.clinic, service, f"/fhir/$export?_type=Observation&{only}")

    assert {one["id"] for one in found.files["Observation"]} == {lab.lab, lab.both, lab.theirs}
