"""The single interactions, line by line as https://hl7.org/fhir/R4/http.html has them, and how each is refused."""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import patient
from tests.trail import said

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def told(doctor: Caller) -> Json:
    return await doctor.store(patient("Told", id="told"))


async def test_r_fhir_006_a_read_has_tag_and_time_of_its_version(doctor: Caller, told: Json) -> None:
    answer = await doctor.get("/fhir/Patient/told")

    assert (answer.status_code, read(answer)) == (200, told)
    assert answer.headers["etag"] == f'W/"{told["meta"]["versionId"]}"'
    assert parsedate_to_datetime(answer.headers["last-modified"]).isoformat()[:19] == told["meta"]["lastUpdated"][:19]


async def test_r_fhir_006_unknown_is_404_and_deleted_is_410_unless_it_is_hidden(
    clinic: InProcess, doctor: Caller
) -> None:
    await doctor.store(patient(id="told-gone"))
    await doctor.delete("/fhir/Patient/told-gone")
    another = clinic.caller("patient/*.r", patient="another")

    assert (await doctor.get("/fhir/Patient/never-was")).status_code == 404
    assert (await doctor.get("/fhir/Patient/told-gone")).status_code == 410
    hidden, unknown = [await another.get(f"/fhir/Patient/{id}") for id in ("told-gone", "never-was")]
    assert (hidden.status_code, hidden.content) == (404, unknown.content)


async def test_r_fhir_007_each_version_has_its_address(doctor: Caller) -> None:
    for family in ("One", "Two"):
        await doctor.store(patient(family, id="versioned"))
    await doctor.delete("/fhir/Patient/versioned")

    statuses = []
    for version in ("1", "2", "3", "4", "0", "x"):
        answer = await doctor.get(f"/fhir/Patient/versioned/_history/{version}")
        statuses.append(answer.status_code)
        if answer.status_code == 200:
            assert answer.headers["etag"] == f'W/"{version}"'
            assert read(answer)["meta"]["versionId"] == version
    assert statuses == [200, 200, 410, 404, 404, 404]


async def test_r_fhir_008_a_create_gives_id_and_version_and_keeps_the_rest(clinic: InProcess, doctor: Caller) -> None:
    meta = {"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "t"}], "source": "urn:s"}

    answer = await doctor.post("/fhir/Patient", patient(id="chosen", meta=meta))

    made = read(answer)
    assert answer.status_code == 201
    assert made["id"] != "chosen"
    assert made["meta"]["versionId"] == "1"
    assert made["meta"]["lastUpdated"] > "2025"
    assert {name: made["meta"][name] for name in ("tag", "source")} == {"tag": meta["tag"], "source": "urn:s"}
    assert answer.headers["location"] == f"{clinic.base}/Patient/{made['id']}/_history/1"


async def test_r_fhir_011_an_update_names_its_target_twice_and_creates_it_where_there_is_none(doctor: Caller) -> None:
    refused = [
        await doctor.put("/fhir/Patient/updated", body)
        for body in (patient(), patient(id="other"), patient(id=""), patient(id=7))
    ]
    made = await doctor.put("/fhir/Patient/updated", patient(id="updated"))
    changed = await doctor.put("/fhir/Patient/updated", patient("Else", id="updated"))
    await doctor.delete("/fhir/Patient/updated")
    revived = await doctor.put("/fhir/Patient/updated", patient(id="updated"))

    assert {answer.status_code for answer in refused} == {400}
    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.headers["location"].endswith("/Patient/updated/_history/1")
    assert revived.headers["etag"] == 'W/"4"'
    assert (await doctor.get("/fhir/Patient/updated")).status_code == 200


@pytest.mark.parametrize("id", ["a_b", "a b", "a%2Fb", "a" * 65, "%00", "ä", "a*", "$where", "{}"])
async def test_r_fhir_024_an_id_that_is_none_is_refused_and_never_a_fault(doctor: Caller, id: str) -> None:
    for method, path, body in (
        ("GET", f"Patient/{id}", b""),
        ("GET", f"Patient/{id}/_history", b""),
        ("PUT", f"Patient/{id}", patient(id="x")),
        ("DELETE", f"Patient/{id}", b""),
        ("GET", f"Patient/{id}/$validate", b""),
        ("GET", f"Patient?_id={id}", b""),
    ):
        answer = await doctor.ask(method, f"/fhir/{path}", body)
        assert answer.status_code in {400, 404}, path
        assert read(answer)["resourceType"] == "OperationOutcome"


async def test_r_fhir_024_an_id_is_of_its_type_alone(doctor: Caller) -> None:
    await doctor.store(patient(id="shared-id"))

    assert (await doctor.get("/fhir/Observation/shared-id")).status_code == 404


WRONG: dict[str, tuple[str, str, Any, int]] = {
    "no address": ("GET", "/fhir/no/such/address/here", b"", 404),
    "outside": ("GET", "/nowhere", b"", 404),
    "no type": ("GET", "/fhir/Nothing/1", b"", 404),
    "no method": ("PUT", "/fhir/metadata", b"", 405),
    "no JSON": ("POST", "/fhir/Patient", b"{", 400),
    "no resource": ("POST", "/fhir/Patient", b"[]", 400),
    "invalid": ("POST", "/fhir/Patient", patient(gender="x"), 422),
    "no parameter": ("GET", "/fhir/Patient?colour=red", b"", 400),
    "no bundle": ("POST", "/fhir", patient(), 400),
}


@pytest.mark.parametrize("what", WRONG)
async def test_r_fhir_004_whatever_is_wrong_is_told_as_an_outcome(doctor: Caller, what: str) -> None:
    method, path, body, status = WRONG[what]

    answer = await doctor.ask(method, path, body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, FHIR_JSON)
    outcome = read(answer)
    assert outcome["resourceType"] == "OperationOutcome"
    for issue in outcome["issue"]:
        assert issue["severity"] == "error"
        assert issue["code"]
        assert issue["diagnostics"]
        assert not re.search(r"Traceback|File \"|\.py\b|detail", str(issue))


async def test_r_fhir_028_one_policy_refuses_access(clinic: InProcess, doctor: Caller) -> None:
    """401 without a token, 403 without the scope, 404 for what is hidden, and searches that leave it out."""
    blind, another = clinic.caller("system/Observation.rs"), clinic.caller("patient/*.rs", patient="another")

    assert (await clinic.stranger.get("/fhir/Patient/told")).status_code == 401
    assert (await clinic.stranger.get("/fhir/Patient/never-was")).status_code == 401
    assert (await blind.get("/fhir/Patient/told")).status_code == 403
    assert (await blind.get("/fhir/Patient/never-was")).status_code == 403
    assert (await another.get("/fhir/Patient/told")).status_code == 404
    assert read(await another.get("/fhir/Patient?_id=told"))["total"] == 0


async def test_r_fhir_029_a_request_id_is_said_back_and_recorded(clinic: InProcess, doctor: Caller) -> None:
    for path, status in (("/fhir/Patient/told", 200), ("/fhir/Patient/never-was", 404), ("/fhir/metadata", 200)):
        async with clinic.trail.recording() as recorded:
            named = await doctor.get(path, X_Request_Id="visit-7.a")
            unnamed = await doctor.get(path)

        assert named.status_code == unnamed.status_code == status
        assert named.headers["x-request-id"] == "visit-7.a"
        first, second = recorded.events
        assert "visit-7.a" in str(first)
        assert unnamed.headers["x-request-id"] in str(second)


async def test_r_fhir_041_a_search_without_a_match_is_an_empty_bundle(doctor: Caller) -> None:
    bundle = read(await doctor.get("/fhir/Patient?_id=never-was"))

    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 0)
    assert "entry" not in bundle


async def test_r_fhir_041_entries_have_their_address_and_mode(clinic: InProcess, doctor: Caller, told: Json) -> None:
    [entry] = read(await doctor.get("/fhir/Patient?_id=told"))["entry"]

    assert entry == {"fullUrl": f"{clinic.base}/Patient/told", "resource": told, "search": {"mode": "match"}}


async def test_r_fhir_001_every_interaction_that_is_described_is_served_and_no_other(
    clinic: InProcess, doctor: Caller
) -> None:
    """By what each address allows, for a type like all others and for the log."""
    methods = {
        "read": ("", "/x", "GET"),
        "vread": ("", "/x/_history/1", "GET"),
        "update": ("updateCreate", "/x", "PUT"),
        "patch": ("", "/x", "PATCH"),
        "delete": ("", "/x", "DELETE"),
        "history-instance": ("", "/x/_history", "GET"),
        "history-type": ("", "/_history", "GET"),
        "create": ("", "", "POST"),
        "search-type": ("", "", "GET"),
    }
    statement = read(await clinic.stranger.get("/fhir/metadata"))["rest"][0]
    described = {one["type"]: {each["code"] for each in one["interaction"]} for one in statement["resource"]}

    assert described["Patient"] == described["Observation"] == set(methods)
    for code, (_, path, method) in methods.items():
        allowed = (await doctor.ask("OPTIONS", f"/fhir/Patient{path}")).headers["allow"]
        assert method in allowed.split(", "), code
    for code in ("update", "patch", "delete"):
        if code not in described["AuditEvent"]:
            _, path, method = methods[code]
            body = {"resourceType": "AuditEvent", "id": "x"} if method == "PUT" else b""
            auditor = clinic.caller("system/AuditEvent.cruds")
            type = "application/json-patch+json" if method == "PATCH" else FHIR_JSON
            answer = await auditor.ask(method, f"/fhir/AuditEvent{path}", body or b"[]", Content_Type=type)
            assert answer.status_code in {404, 405}, code
    for code in (one["code"] for one in statement["interaction"]):
        async with clinic.trail.recording() as recorded:
            bundle = {"resourceType": "Bundle", "type": code}
            asked = (
                await doctor.post("/fhir", bundle)
                if code in {"batch", "transaction"}
                else await doctor.get("/fhir/_history" if code == "history-system" else "/fhir?_type=Patient")
            )
        assert asked.status_code == 200, code
        assert {said(event)[0] for event in recorded.events} == {code}
