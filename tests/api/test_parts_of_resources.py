"""`_summary` and `_elements`: a part of what the caller may see, marked as such, on every interaction that shows it.

R-FHIR-059; https://hl7.org/fhir/R4/search.html#summary, #elements
"""

from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.trail import named, said

pytestmark = pytest.mark.anyio

TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ana</div>'}
PARTED = patient(
    "Parted",
    id="parted",
    text=NARRATIVE,
    gender="female",
    birthDate="1980-02-03",
    maritalStatus={"text": "x"},
    communication=[{"language": {"text": "x"}}],
    meta={"tag": [{"system": "urn:x", "code": "y"}]},
)
ALWAYS = {"resourceType", "id", "meta"}
PARTS: dict[str, set[str]] = {
    "_summary=true": {"name", "gender", "birthDate"},
    "_summary=text": {"text"},
    "_summary=data": {"name", "gender", "birthDate", "maritalStatus", "communication"},
    "_elements=gender": {"gender"},
    "_elements=name,birthDate,photo": {"name", "birthDate"},
    "_elements=deceased": set(),
    "_elements=value%5Bx%5D,gender": {"gender"},
}
SHOWN = {
    "read": "/fhir/Patient/parted?{}",
    "vread": "/fhir/Patient/parted/_history/1?{}",
    "search": "/fhir/Patient?_id=parted&{}",
    "search by post": "/fhir/Patient/_search?_id=parted&{}",
    "history of the instance": "/fhir/Patient/parted/_history?{}",
    "history of the type": "/fhir/Patient/_history?_count=500&{}",
}


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def parted(doctor: Caller) -> Json:
    return await doctor.store(PARTED)


async def shown(who: Caller, way: str, query: str) -> Json:
    """The resource as that interaction shows it."""
    path = SHOWN[way].format(query)
    answer = await (who.post(path) if way == "search by post" else who.get(path))
    assert answer.status_code == 200, answer.text
    body = read(answer)
    if body["resourceType"] != "Bundle":
        found: Json = body
        return found
    assert "tag" not in body.get("meta", {})
    [one] = [entry["resource"] for entry in body["entry"] if entry["fullUrl"].endswith("/Patient/parted")]
    return dict(one)


@pytest.mark.parametrize("query", PARTS)
@pytest.mark.parametrize("way", SHOWN)
async def test_r_fhir_059_a_part_has_what_was_asked_for_and_says_that_it_is_one(
    doctor: Caller, parted: Json, way: str, query: str
) -> None:
    part = await shown(doctor, way, query)

    assert part.keys() == ALWAYS | PARTS[query]
    assert {name: part[name] for name in PARTS[query]} == {name: parted[name] for name in PARTS[query]}
    assert part["meta"] == {**parted["meta"], "tag": [*parted["meta"]["tag"], TAG]}


@pytest.mark.parametrize("query", ["", "_summary=false", "_summary=", "_elements=", "_summary=false&_pretty=false"])
@pytest.mark.parametrize("way", SHOWN)
async def test_r_fhir_059_the_whole_is_not_marked(doctor: Caller, parted: Json, way: str, query: str) -> None:
    assert await shown(doctor, way, query) == parted


async def test_r_fhir_059_the_whole_goes_out_as_it_was_sealed(doctor: Caller) -> None:
    """To the byte: what is not changed is not written anew."""
    body = b'{"resourceType":"Patient","id":"sealed","name":[{"family":"S\\u00e9"}],"multipleBirthInteger":2}'
    await doctor.put("/fhir/Patient/sealed", body)

    plain = await doctor.get("/fhir/Patient/sealed")
    whole = await doctor.get("/fhir/Patient/sealed?_summary=false")

    assert plain.content == whole.content
    assert plain.content.endswith('"name":[{"family":"Sé"}],"multipleBirthInteger":2}'.encode())


async def test_a_part_keeps_the_digits(doctor: Caller) -> None:
    value = b'{"value":1.50,"unit":"cm"}'
    await doctor.put(
        "/fhir/Observation/digits",
        b'{"resourceType":"Observation","id":"digits","status":"final","code":{"text":"x"},"valueQuantity":'
        + value
        + b',"note":[{"text":"x"}]}',
    )

    answer = await doctor.get("/fhir/Observation/digits?_elements=value")

    assert value in answer.content
    assert read(answer).keys() == ALWAYS | {"status", "code", "valueQuantity"}


async def test_r_fhir_059_mandatory_elements_are_never_left_out(doctor: Caller) -> None:
    answer = await doctor.get("/fhir/Observation/digits?_elements=note")

    assert read(answer).keys() == ALWAYS | {"status", "code", "note"}


@pytest.mark.parametrize(
    "query",
    [
        *("_summary=yes", "_summary=TRUE", "_summary=true&_summary=data", "_elements=name&_elements=gender"),
        *("_elements=birthdate", "_elements=name.family", "_elements=Patient.name", "_elements=name,,gender"),
        *("_elements=$where", "_elements=%00", "_summary=true&_elements=name", "_elements=name&_summary=text"),
    ],
)
@pytest.mark.parametrize("way", SHOWN)
async def test_a_part_that_cannot_be_understood_is_400_and_never_the_whole(
    clinic: InProcess, doctor: Caller, way: str, query: str
) -> None:
    path = SHOWN[way].format(query)

    async with clinic.trail.recording() as recorded:
        answer = await (doctor.post(path) if way == "search by post" else doctor.get(path))

    assert answer.status_code == 400, answer.text
    assert read(answer)["issue"][0]["code"] in {"invalid", "not-supported"}
    assert said(recorded.only)[1] == "4"


async def test_to_count_is_for_searches(doctor: Caller) -> None:
    counted = read(await doctor.get("/fhir/Patient?_id=parted&_summary=count"))

    assert (counted["total"], "entry" in counted) == (1, False)
    for path in ("Patient/parted", "Patient/parted/_history/1", "Patient/parted/_history"):
        assert (await doctor.get(f"/fhir/{path}?_summary=count")).status_code == 400


async def test_r_fhir_042_the_links_of_a_search_and_a_history_keep_the_part(doctor: Caller) -> None:
    for number in range(3):
        await doctor.store(patient("Linked", id=f"linked-{number}", gender="male"))
    for path in ("/fhir/Patient?family=Linked", "/fhir/Patient/_history?_since=2020-01-01T00:00:00Z"):
        bundle = read(await doctor.get(f"{path}&_elements=gender&_count=2&_pretty=true"))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "_elements=gender" in links["self"]
        assert "_pretty" not in links["self"]

        following = await doctor.get(links["next"])

        assert b'\n  "resourceType"' in following.content
        for entry in read(following)["entry"]:
            if "resource" in entry:
                assert TAG in entry["resource"]["meta"]["tag"]
                assert "name" not in entry["resource"]


async def test_an_error_is_never_a_part(doctor: Caller) -> None:
    answer = await doctor.get("/fhir/Patient/never-was?_summary=true")

    assert answer.status_code == 404
    assert "meta" not in read(answer)


async def test_a_write_that_is_answered_with_the_resource_shows_the_part_that_was_asked_for(doctor: Caller) -> None:
    made = await doctor.post("/fhir/Patient?_elements=gender", patient(gender="male"))
    path = f"/fhir/Patient/{read(made)['id']}"
    changed = await doctor.put(f"{path}?_summary=text", {**patient(gender="female"), "id": read(made)["id"]})
    refused = await doctor.put(f"{path}?_summary=some", {**patient(), "id": read(made)["id"]})

    assert read(made).keys() == ALWAYS | {"gender"}
    assert read(changed).keys() == ALWAYS
    assert refused.status_code == 400
    assert read(await doctor.get(path))["meta"]["versionId"] == "2", "a refused question writes nothing"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_entries_of_a_bundle_ask_for_parts_too(doctor: Caller, kind: str) -> None:
    urls = [
        "Patient/parted?_elements=gender",
        "Patient/parted/_history/1?_elements=gender&_format=json",
        "Patient?_id=parted&_elements=gender",
    ]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]

    answer = await doctor.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries})

    read_, vread, found = [entry["resource"] for entry in read(answer)["entry"]]
    for part in (read_, vread, found["entry"][0]["resource"]):
        assert part.keys() == ALWAYS | {"gender"}
        assert TAG in part["meta"]["tag"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("url", ["Patient/parted?name=x", "Patient/parted?_summary=some", "Patient/parted?_count=1"])
async def test_what_an_entry_asks_of_an_instance_is_how_to_show_it(doctor: Caller, kind: str, url: str) -> None:
    entry = {"request": {"method": "GET", "url": url}}

    answer = await doctor.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]})

    status = answer.status_code if kind == "transaction" else int(read(answer)["entry"][0]["response"]["status"])
    assert status == 400


@pytest.mark.parametrize("method", ["PUT", "POST", "conditional PUT", "batch", "transaction"])
async def test_r_fhir_059_a_part_that_comes_back_is_refused(clinic: InProcess, doctor: Caller, method: str) -> None:
    part = read(await doctor.get("/fhir/Patient/parted?_summary=true"))
    entry = {"request": {"method": "PUT", "url": "Patient/parted"}, "resource": part}
    ways: dict[str, tuple[str, str, Json]] = {
        "PUT": ("PUT", "/fhir/Patient/parted", part),
        "POST": ("POST", "/fhir/Patient", part),
        "conditional PUT": ("PUT", "/fhir/Patient?_id=parted", part),
        **{kind: ("POST", "/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]}) for kind in BUNDLES},
    }
    verb, path, body = ways[method]

    answer = await doctor.ask(verb, path, body)

    refused = read(answer)["entry"][0]["response"]["outcome"] if method == "batch" else read(answer)
    if method != "batch":
        assert answer.status_code == 422
    assert refused["issue"][0]["expression"][0].endswith("meta.tag")
    assert read(await doctor.get("/fhir/Patient/parted")) == {**PARTED, "meta": read_meta(part)}


BUNDLES = ("batch", "transaction")


def read_meta(part: Json) -> Json:
    return {**part["meta"], "tag": [tag for tag in part["meta"]["tag"] if tag != TAG]}


async def test_r_fhir_059_a_patch_does_not_make_a_part_of_the_whole(doctor: Caller) -> None:
    operation = [{"op": "add", "path": "/meta/tag/-", "value": TAG}]

    answer = await doctor.ask(
        "PATCH", "/fhir/Patient/parted", json.encode(operation), Content_Type="application/json-patch+json"
    )

    assert answer.status_code == 422


async def test_a_part_is_recorded_like_the_whole(clinic: InProcess, doctor: Caller) -> None:
    recordings: list[Any] = []
    for query in ("", "?_summary=true", "?_elements=gender"):
        async with clinic.trail.recording() as recorded:
            await doctor.get(f"/fhir/Patient/parted{query}")
        recordings.append((said(recorded.only), named(recorded.only)))

    assert recordings[0] == recordings[1] == recordings[2]
    assert recordings[0][0] == ("read", "0")


async def test_a_part_is_of_what_may_be_seen(clinic: InProcess, doctor: Caller) -> None:
    """The decision comes first: no part of a photo's Media without a basis, no part of another patient."""
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    photo = await doctor.store(media(person, jpeg()))
    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    for query in ("_summary=true", "_summary=text", "_elements=status"):
        assert (await doctor.get(f"/fhir/Media/{photo['id']}?{query}")).status_code in {403, 410}
        another = clinic.caller("patient/*.rs", patient=person)
        assert (await another.get(f"/fhir/Patient/parted?{query}")).status_code == 404
        assert "entry" not in read(await another.get(f"/fhir/Patient?_id=parted&{query}"))
