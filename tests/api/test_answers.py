"""Status, headers and body of each interaction, as https://hl7.org/fhir/R4/http.html has them."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


async def test_a_create_is_201_with_location_etag_and_the_resource(clinic: InProcess, doctor: Caller) -> None:
    answer = await doctor.post("/fhir/Patient", patient(id="ignored", meta={"versionId": "77", "tag": [{"code": "t"}]}))

    stored = read(answer)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{clinic.base}/Patient/{stored['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert "last-modified" in answer.headers
    assert answer.headers["content-type"].startswith(FHIR_JSON)
    assert stored["id"] != "ignored"
    assert stored["meta"]["versionId"] == "1"
    assert stored["meta"]["tag"] == [{"code": "t"}]
    assert INSTANT.fullmatch(stored["meta"]["lastUpdated"])


@pytest.mark.parametrize(
    ("prefer", "type"),
    [("return=minimal", None), ("return=representation", "Patient"), ("return=OperationOutcome", "OperationOutcome")],
)
async def test_a_client_chooses_what_a_write_answers(doctor: Caller, prefer: str, type: str | None) -> None:
    answer = await doctor.post("/fhir/Patient", patient(), Prefer=prefer)

    assert answer.status_code == 201
    assert (read(answer)["resourceType"] if answer.content else None) == type
    assert answer.headers["location"]


async def test_an_update_makes_versions_and_the_old_ones_stay(clinic: InProcess, doctor: Caller) -> None:
    first = await doctor.put("/fhir/Patient/versions", patient("One", id="versions"))
    second = await doctor.put("/fhir/Patient/versions", patient("Two", id="versions"), If_Match='W/"1"')

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["location"] == f"{clinic.base}/Patient/versions/_history/2"
    for path, family in (("", "Two"), ("/_history/1", "One"), ("/_history/2", "Two")):
        answer = await doctor.get(f"/fhir/Patient/versions{path}")
        assert read(answer)["name"][0]["family"] == family
    assert (await doctor.get("/fhir/Patient/versions/_history/3")).status_code == 404
    stale = await doctor.put("/fhir/Patient/versions", patient("Three", id="versions"), If_Match='W/"1"')
    assert (stale.status_code, read(stale)["issue"][0]["code"]) == (412, "conflict")


async def test_a_version_that_the_client_has_is_304(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/cached", patient(id="cached"))

    same = await doctor.get("/fhir/Patient/cached", If_None_Match='W/"1"')
    other = await doctor.get("/fhir/Patient/cached", If_None_Match='W/"0", W/"9"')

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", 'W/"1"')
    assert other.status_code == 200


async def test_a_delete_is_204_and_then_410_but_the_history_stays(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/leaving", patient(id="leaving"))

    gone = await doctor.delete("/fhir/Patient/leaving", If_Match='W/"1"')
    again = await doctor.delete("/fhir/Patient/leaving")

    assert (gone.status_code, gone.content, again.status_code) == (204, b"", 204)
    assert (await doctor.get("/fhir/Patient/leaving")).status_code == 410
    assert (await doctor.get("/fhir/Patient/leaving/_history/1")).status_code == 200
    assert (await doctor.get("/fhir/Patient/leaving/_history/2")).status_code == 410
    assert "entry" not in read(await doctor.get("/fhir/Patient?_id=leaving"))
    back = await doctor.put("/fhir/Patient/leaving", patient(id="leaving"))
    assert back.status_code in {200, 201}
    assert back.headers["etag"] == 'W/"3"'


async def test_head_is_get_without_its_body(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/headed", patient(id="headed"))
    for path in ("/fhir/Patient/headed", "/fhir/Patient?_id=headed", "/fhir/metadata"):
        whole, head = await doctor.get(path), await doctor.ask("HEAD", path)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert head.headers.get("content-encoding") == whole.headers.get("content-encoding")


@pytest.mark.parametrize(
    "wanted", ["application/fhir+json", "application/json", "*/*", "application/*;q=0.1", "text/html, */*;q=0.8"]
)
async def test_json_is_given_to_who_takes_it(doctor: Caller, wanted: str) -> None:
    answer = await doctor.get("/fhir/metadata", Accept=wanted)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(FHIR_JSON)


@pytest.mark.parametrize("format", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json"])
async def test_a_format_in_the_query_beats_the_header(doctor: Caller, format: str) -> None:
    answer = await doctor.get(f"/fhir/metadata?_format={format}", Accept="application/fhir+xml")

    assert answer.status_code == 200


async def test_the_description_needs_no_token_and_says_only_what_is_served(clinic: InProcess) -> None:
    answer = await clinic.stranger.get("/fhir/metadata")

    statement = read(answer)
    assert answer.status_code == 200
    assert statement["resourceType"] == "CapabilityStatement"
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert set(statement["format"]) == {"json", FHIR_JSON}
    [rest] = statement["rest"]
    types = {resource["type"] for resource in rest["resource"]}
    assert types >= {"Patient", "Observation", "Media", "Consent", "Binary", "DocumentReference"}
    assert rest["security"]


async def test_each_search_parameter_that_is_described_can_be_used(clinic: InProcess, doctor: Caller) -> None:
    statement = read(await clinic.stranger.get("/fhir/metadata"))
    refused: list[tuple[str, str]] = []
    for resource in statement["rest"][0]["resource"]:
        if resource["type"] not in {"Patient", "Observation", "Media", "Consent", "Encounter"}:
            continue
        for parameter in resource["searchParam"]:
            path = f"/fhir/{resource['type']}?{parameter['name']}:missing=true&_count=1"
            plain = f"/fhir/{resource['type']}?{parameter['name']}=2001-01-01&_count=1"
            if {(await doctor.get(path)).status_code, (await doctor.get(plain)).status_code} == {400}:
                refused.append((resource["type"], parameter["name"]))

    assert refused == [] or {name for _, name in refused} <= {"_id"}


async def test_a_search_says_what_it_understood(clinic: InProcess, doctor: Caller) -> None:
    answer = await doctor.get("/fhir/Patient?name=nobody&_count=5&colour=red", Prefer="handling=lenient")

    bundle = read(answer)
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 0)
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    assert bundle["link"][0]["url"] == f"{clinic.base}/Patient?name=nobody&_count=5"


async def test_entries_of_a_search_stand_under_their_own_address(clinic: InProcess, doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/listed", patient(id="listed"))

    [entry] = read(await doctor.get("/fhir/Patient?_id=listed"))["entry"]

    assert entry["fullUrl"] == f"{clinic.base}/Patient/listed"
    assert entry["search"] == {"mode": "match"}
    assert entry["resource"] == read(await doctor.get("/fhir/Patient/listed"))


def bundle(kind: str, *entries: tuple[str, str, Json | None, str]) -> Json:
    written: Sequence[Json] = [
        {
            **({"fullUrl": full_url} if full_url else {}),
            **({"resource": resource} if resource else {}),
            "request": {"method": method, "url": url},
        }
        for method, url, resource, full_url in entries
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": written}


async def test_a_batch_answers_each_entry_in_its_place(doctor: Caller) -> None:
    answer = await doctor.post(
        "/fhir",
        bundle(
            "batch",
            ("GET", "Patient/never-was", None, ""),
            ("POST", "Patient", patient(), ""),
            ("PUT", "Patient/batched", patient(id="batched"), ""),
            ("DELETE", "Patient/never-was", None, ""),
            ("POST", "Patient", {"resourceType": "Patient", "gender": "nope"}, ""),
            ("GET", "Nothing/1", None, ""),
        ),
    )

    entries = read(answer)["entry"]
    assert read(answer)["type"] == "batch-response"
    assert [entry["response"]["status"][:3] for entry in entries] == ["404", "201", "201", "204", "422", "404"]
    assert entries[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_a_transaction_puts_references_right_whatever_the_order(doctor: Caller) -> None:
    observation: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"},
        "contained": [
            {
                "resourceType": "Patient",
                "id": "c",
                "link": [{"other": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}, "type": "seealso"}],
            }
        ],
        "focus": [{"reference": "#c"}],
    }
    answer = await doctor.post(
        "/fhir",
        bundle(
            "transaction",
            ("POST", "Observation", observation, ""),
            ("POST", "Patient", patient(), "urn:uuid:11111111-1111-4111-8111-111111111111"),
        ),
    )

    assert answer.status_code == 200, answer.text
    first, second = (entry["response"] for entry in read(answer)["entry"])
    person = re.search(r"Patient/[^/]+", second["location"])
    assert person is not None
    stored = await doctor.get(first["location"].partition("/_history")[0])
    assert read(stored)["subject"]["reference"] == person[0]
    assert "urn:uuid" not in stored.text


@pytest.mark.parametrize(
    "broken",
    [
        ("PUT", "Patient/other-id", patient(id="this-id"), ""),
        ("POST", "Observation", {"resourceType": "Observation"}, ""),
        ("GET", "Patient?colour=red", None, ""),
        ("DELETE", "Patient", None, ""),
        ("FETCH", "Patient/1", None, ""),
    ],
)
async def test_a_transaction_with_one_bad_entry_does_nothing_and_names_it(
    clinic: InProcess, doctor: Caller, broken: tuple[str, str, Json | None, str]
) -> None:
    before = await clinic.counts()
    good: tuple[str, str, Any, str] = ("POST", "Patient", patient(), "")

    answer = await doctor.post("/fhir", bundle("transaction", good, broken))

    assert answer.status_code in {400, 422}, answer.text
    assert "Bundle.entry[1]" in answer.text
    assert await clinic.counts() == before


async def test_the_process_says_that_it_is_well_without_a_token(clinic: InProcess) -> None:
    answer = await clinic.stranger.get("/healthz")

    assert (answer.status_code, read(answer)) == (200, {"status": "ok"})
