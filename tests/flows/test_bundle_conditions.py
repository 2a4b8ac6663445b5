"""Conditions in bundles: entries by criteria, references by criteria or by urn, and what becomes of the others.

R-FHIR-019, 020, 021; https://hl7.org/fhir/R4/http.html#trules
"""

import asyncio
import secrets
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient
from tests.trail import said

pytestmark = pytest.mark.anyio

SYSTEM = "urn:bundles"


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
def number() -> str:
    """An identifier that no other test gives."""
    return secrets.token_hex(6)


def urn() -> str:
    return f"urn:uuid:{UUID(bytes=secrets.token_bytes(16), version=4)}"


def criteria(number: str) -> str:
    return f"identifier={SYSTEM}|{number}"


def known_as(number: str, **more: Any) -> Json:
    return patient("Bundled", identifier=[{"system": SYSTEM, "value": number}], **more)


def observation(reference: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Skin type"},
        "subject": {"reference": reference},
        **more,
    }


def bundle(*entries: Json, kind: str = "transaction") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: Any) -> Json:
    found: Json = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        found["resource"] = resource
    return {**found, "fullUrl": full_url} if full_url else found


def statuses(answer: Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["response"]["status"] for one in read(answer)["entry"]]


def reference_in(answer: Response, index: int) -> str:
    """`Patient/7` out of an absolute location."""
    parts = read(answer)["entry"][index]["response"]["location"].split("/")
    return f"{parts[-4]}/{parts[-3]}"


async def subject_of(who: Caller, answer: Response, index: int) -> str:
    found = read(await who.get(f"/fhir/{reference_in(answer, index)}"))
    return str(found["subject"]["reference"])


async def matches(who: Caller, number: str, type: str = "Patient") -> list[Json]:
    return [one["resource"] for one in read(await who.get(f"/fhir/{type}?{criteria(number)}")).get("entry", [])]


async def test_r_fhir_021_if_none_exist_leads_references_to_what_is_there(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    there, name = await doctor.store(known_as(number)), urn()

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir",
            bundle(
                entry("POST", "Observation", observation(name)),
                entry("POST", "Patient", known_as(number), name, ifNoneExist=criteria(number)),
            ),
        )

    assert statuses(answer) == ["201", "200"]
    assert reference_in(answer, 1) == f"Patient/{there['id']}"
    assert await subject_of(doctor, answer, 0) == f"Patient/{there['id']}"
    assert await matches(doctor, number) == [there]
    assert [said(event) for event in recorded.events] == [("create", "0")] * 2, "the one that was there is told of too"


async def test_r_fhir_021_if_none_exist_creates_what_is_not_there(doctor: Caller, number: str) -> None:
    name = urn()

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("POST", "Patient", known_as(number), name, ifNoneExist=criteria(number)),
            entry("POST", "Observation", observation(name)),
        ),
    )

    assert statuses(answer) == ["201", "201"]
    assert await subject_of(doctor, answer, 1) == reference_in(answer, 0)


async def test_r_fhir_021_twenty_transactions_at_one_instant_create_one(doctor: Caller, number: str) -> None:
    def asked() -> Json:
        name = urn()
        return bundle(
            entry("POST", "Patient", known_as(number), name, ifNoneExist=criteria(number)),
            entry("POST", "Observation", observation(name)),
        )

    answers = await asyncio.gather(*(doctor.post("/fhir", asked()) for _ in range(20)))

    done = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sorted(statuses(answer)[0] for answer in done).count("201") == 1
    [only] = await matches(doctor, number)
    assert {reference_in(answer, 0) for answer in done} == {f"Patient/{only['id']}"}


async def test_r_fhir_021_a_reference_by_criteria_is_resolved_to_what_is_stored(doctor: Caller, number: str) -> None:
    there = await doctor.store(known_as(number))

    answer = await doctor.post(
        "/fhir", bundle(entry("POST", "Observation", observation(f"Patient?{criteria(number)}")))
    )

    assert await subject_of(doctor, answer, 0) == f"Patient/{there['id']}"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_r_fhir_021_a_reference_by_criteria_is_resolved_to_what_is_brought(
    doctor: Caller, number: str, method: str
) -> None:
    id = f"brought-{secrets.token_hex(6)}"
    brought = (
        entry("POST", "Patient", known_as(number))
        if method == "POST"
        else entry("PUT", f"Patient/{id}", known_as(number, id=id))
    )

    answer = await doctor.post(
        "/fhir", bundle(entry("POST", "Observation", observation(f"Patient?{criteria(number)}")), brought)
    )

    assert statuses(answer) == ["201", "201"]
    assert await subject_of(doctor, answer, 0) == reference_in(answer, 1)


async def test_r_fhir_021_a_reference_by_criteria_deep_inside_is_resolved(doctor: Caller, number: str) -> None:
    there = await doctor.store(known_as(number))
    text = f"Patient?{criteria(number)}"
    deep = {"extension": [{"url": "urn:x", "valueReference": {"reference": text}}]}

    answer = await doctor.post("/fhir", bundle(entry("POST", "Observation", observation(text, **deep))))

    stored = read(await doctor.get(f"/fhir/{reference_in(answer, 0)}"))
    assert stored["extension"][0]["valueReference"]["reference"] == f"Patient/{there['id']}"


@pytest.mark.parametrize("many", [0, 2])
async def test_r_fhir_021_a_reference_that_meets_none_or_many_fails_it_all(
    clinic: InProcess, doctor: Caller, number: str, many: int
) -> None:
    for _ in range(many):
        await doctor.store(known_as(number))
    before = (await clinic.counts())["resources"]

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir",
            bundle(
                entry("POST", "Patient", patient("Beside")),
                entry("POST", "Observation", observation(f"Patient?{criteria(number)}")),
            ),
        )

    assert answer.status_code == 412, answer.text
    assert "Bundle.entry[1]" in answer.text
    assert number not in answer.text
    assert (await clinic.counts())["resources"] == before
    assert said(recorded.only) == ("transaction", "4")


async def test_r_fhir_021_one_stored_and_one_brought_are_many(doctor: Caller, number: str) -> None:
    await doctor.store(known_as(number))

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("POST", "Patient", known_as(number)),
            entry("POST", "Observation", observation(f"Patient?{criteria(number)}")),
        ),
    )

    assert answer.status_code == 412


async def test_r_fhir_021_resources_may_refer_to_each_other_in_a_circle(doctor: Caller) -> None:
    one, other = urn(), urn()
    link = {"type": "seealso"}

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("POST", "Patient", patient("One", link=[{**link, "other": {"reference": other}}]), one),
            entry("POST", "Patient", patient("Other", link=[{**link, "other": {"reference": one}}]), other),
        ),
    )

    assert statuses(answer) == ["201", "201"]
    for index in (0, 1):
        stored = read(await doctor.get(f"/fhir/{reference_in(answer, index)}"))
        assert stored["link"][0]["other"]["reference"] == reference_in(answer, 1 - index)


async def test_r_fhir_020_the_same_identity_twice_is_400_however_it_is_named(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    there = await doctor.store(known_as(number))
    by_id = f"Patient/{there['id']}"
    by_criteria = f"Patient?{criteria(number)}"
    put = entry("PUT", by_id, {**known_as(number), "id": there["id"]})
    before = (await clinic.counts())["resources"]

    for twice in (
        [put, entry("PUT", by_criteria, known_as(number))],
        [put, entry("DELETE", by_criteria)],
        [entry("DELETE", by_id), entry("PUT", by_criteria, known_as(number))],
        [entry("DELETE", by_criteria), entry("DELETE", by_criteria)],
    ):
        answer = await doctor.post("/fhir", bundle(*twice))
        assert answer.status_code == 400, answer.text
        assert "Bundle.entry[1]" in answer.text
    assert (await clinic.counts())["resources"] == before
    assert read(await doctor.get(f"/fhir/{by_id}")) == there


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_r_fhir_010_the_same_criteria_twice_make_no_two_resources(
    doctor: Caller, number: str, method: str
) -> None:
    """Nothing matches either, so each would create one: the duplicates that conditions are there to prevent."""
    made = (
        entry("POST", "Patient", known_as(number), ifNoneExist=criteria(number))
        if method == "POST"
        else entry("PUT", f"Patient?{criteria(number)}", known_as(number))
    )

    answer = await doctor.post("/fhir", bundle(made, made))

    assert answer.status_code == 400
    assert await matches(doctor, number) == []


async def test_two_entries_may_both_find_what_is_there(doctor: Caller, number: str) -> None:
    there = await doctor.store(known_as(number))
    made = entry("POST", "Patient", known_as(number), ifNoneExist=criteria(number))

    answer = await doctor.post("/fhir", bundle(made, made))

    assert statuses(answer) == ["200", "200"]
    assert await matches(doctor, number) == [there]


async def test_r_fhir_013_an_update_by_criteria_in_both_kinds_of_bundle(doctor: Caller, number: str) -> None:
    url = f"Patient?{criteria(number)}"

    made = await doctor.post("/fhir", bundle(entry("PUT", url, known_as(number))))
    changed = await doctor.post("/fhir", bundle(entry("PUT", url, known_as(number, gender="male"))))
    again = await doctor.post("/fhir", bundle(entry("PUT", url, known_as(number, gender="female")), kind="batch"))

    assert [statuses(answer) for answer in (made, changed, again)] == [["201"], ["200"], ["200"]]
    [only] = await matches(doctor, number)
    assert (only["meta"]["versionId"], only["gender"]) == ("3", "female")


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_013_an_update_by_criteria_does_not_overwrite_what_they_do_not_meet(
    doctor: Caller, number: str, kind: str
) -> None:
    other = await doctor.store(patient("Other"))

    answer = await doctor.post(
        "/fhir", bundle(entry("PUT", f"Patient?{criteria(number)}", known_as(number, id=other["id"])), kind=kind)
    )

    assert (answer.status_code if kind == "transaction" else int(statuses(answer)[0])) == 409
    assert read(await doctor.get(f"/fhir/Patient/{other['id']}")) == other


@pytest.mark.parametrize(
    ("method", "more"), [("PUT", {}), ("PATCH", {}), ("DELETE", {}), ("POST", {"ifNoneExist": "{}"})]
)
async def test_r_fhir_020_an_entry_that_meets_many_fails_it_all(
    clinic: InProcess, doctor: Caller, number: str, method: str, more: Json
) -> None:
    await doctor.store(known_as(number))
    await doctor.store(known_as(number))
    before = await matches(doctor, number)
    asked = {name: text.format(criteria(number)) for name, text in more.items()}
    body = None if method == "DELETE" else known_as(number) if method != "PATCH" else gender()
    url = "Patient" if method == "POST" else f"Patient?{criteria(number)}"
    beside = entry("POST", "Patient", patient("Beside"))
    count = (await clinic.counts())["resources"]

    whole = await doctor.post("/fhir", bundle(beside, entry(method, url, body, **asked)))
    assert whole.status_code == 412, whole.text
    assert (await clinic.counts())["resources"] == count

    alone = await doctor.post("/fhir", bundle(beside, entry(method, url, body, **asked), kind="batch"))
    assert statuses(alone) == ["201", "412"]
    assert await matches(doctor, number) == before


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_016_a_delete_by_criteria(clinic: InProcess, doctor: Caller, number: str, kind: str) -> None:
    there = await doctor.store(known_as(number))
    asked = bundle(entry("DELETE", f"Patient?{criteria(number)}"), kind=kind)

    async with clinic.trail.recording() as recorded:
        answers = [await doctor.post("/fhir", asked), await doctor.post("/fhir", asked)]

    assert [statuses(answer) for answer in answers] == [["204"], ["204"]]
    assert (await doctor.get(f"/fhir/Patient/{there['id']}")).status_code == 410
    assert [said(event) for event in recorded.events] == [("delete", "0")] * 2


@pytest.mark.parametrize("query", ["colour=red", "_format=json", "_count=3"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_r_fhir_043_criteria_that_say_nothing_are_400_in_bundles_too(
    clinic: InProcess, doctor: Caller, number: str, method: str, query: str
) -> None:
    body = None if method == "DELETE" else known_as(number) if method != "PATCH" else gender()
    one = (
        entry("POST", "Patient", body, ifNoneExist=query)
        if method == "POST"
        else entry(method, f"Patient?{query}", body)
    )

    async with clinic.trail.recording() as recorded:
        whole = await doctor.post("/fhir", bundle(one), Prefer="handling=lenient")
        alone = await doctor.post("/fhir", bundle(one, kind="batch"), Prefer="handling=lenient")

    assert whole.status_code == 400, whole.text
    assert statuses(alone) == ["400"]
    assert [said(event)[1] for event in recorded.events] == ["4", "4"]


async def test_r_fhir_020_reads_see_what_was_written_and_are_recorded(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    there = await doctor.store(patient("Before"))
    url = f"Patient/{there['id']}"

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir",
            bundle(
                entry("GET", url),
                entry("GET", f"{url}/_history/1"),
                entry("GET", f"Patient?{criteria(number)}"),
                entry("PUT", url, {**known_as(number), "id": there["id"]}),
            ),
        )

    found = read(answer)["entry"]
    assert statuses(answer) == ["200", "200", "200", "200"]
    assert found[0]["resource"]["name"][0]["family"] == "Bundled"
    assert found[1]["resource"]["name"][0]["family"] == "Before"
    assert [one["resource"]["id"] for one in found[2]["resource"]["entry"]] == [there["id"]]
    kinds = [said(event) for event in recorded.events]
    assert kinds[0] == ("update", "0")
    assert [outcome for _, outcome in kinds] == ["0", "0", "0", "0"]


async def test_r_fhir_019_one_bad_entry_of_a_batch_does_not_hinder_the_others(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    bad = [
        entry("POST", "Nothing", patient()),
        entry("POST", "Patient", {**patient(), "birthDate": "yesterday"}),
        entry("GET", "Patient?colour=red"),
        entry("GET", "Patient/never-was"),
        {"request": {"method": "TRACE", "url": "Patient"}},
        {},
    ]
    good = [entry("POST", "Patient", known_as(number)), entry("GET", "Patient?_id=never-was")]

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post("/fhir", bundle(*bad[:3], *good, *bad[3:], kind="batch"))

    assert statuses(answer) == ["404", "422", "400", "201", "200", "404", "400", "400"]
    assert len(await matches(doctor, number)) == 1
    assert len(recorded.events) == 8
    assert sorted(said(event)[1] for event in recorded.events) == ["0"] * 2 + ["4"] * 6


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_012_versions_named_in_entries_are_honoured(doctor: Caller, kind: str) -> None:
    there = await doctor.store(patient("Versioned"))
    url, body = f"Patient/{there['id']}", {**patient("Changed"), "id": there["id"]}

    for stale in (
        entry("PUT", url, body, ifMatch='W/"9"'),
        entry("DELETE", url, ifMatch='W/"9"'),
        entry("PUT", url, body, ifNoneMatch="*"),
    ):
        answer = await doctor.post("/fhir", bundle(stale, kind=kind))
        assert (answer.status_code if kind == "transaction" else int(statuses(answer)[0])) == 412
    assert read(await doctor.get(f"/fhir/{url}")) == there
    assert statuses(await doctor.post("/fhir", bundle(entry("PUT", url, body, ifMatch='W/"1"'), kind=kind))) == ["200"]


async def test_r_smart_049_a_reference_by_criteria_needs_the_right_to_search(clinic: InProcess, number: str) -> None:
    who = clinic.caller("system/Observation.cruds", "system/Patient.cr")
    await clinic.caller().store(known_as(number))
    made = entry("POST", "Patient", known_as(number), ifNoneExist=criteria(number))

    refer = await who.post("/fhir", bundle(entry("POST", "Observation", observation(f"Patient?{criteria(number)}"))))
    create = await who.post("/fhir", bundle(made))
    alone = await who.post("/fhir", bundle(made, kind="batch"))

    assert (refer.status_code, create.status_code, statuses(alone)) == (403, 403, ["403"])


async def test_r_fhir_021_a_batch_resolves_no_references(doctor: Caller, number: str) -> None:
    """Its entries stand alone: a reference to another entry has no meaning there."""
    await doctor.store(known_as(number))
    text = f"Patient?{criteria(number)}"

    answer = await doctor.post("/fhir", bundle(entry("POST", "Observation", observation(text)), kind="batch"))

    if statuses(answer) == ["201"]:
        assert await subject_of(doctor, answer, 0) == text


def gender() -> Json:
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "gender"},
        {"name": "value", "valueCode": "female"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
