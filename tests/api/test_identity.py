"""Who a resource is: ids and versions that the server gives, those that a client may choose, and those that none may.

R-FHIR-007, R-FHIR-008, R-FHIR-011, R-FHIR-024.
"""

from urllib.parse import quote

import pytest

from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

LONGEST = "A-z.0" + "9" * 59
NO_IDS = ["a_b", "a b", "ü", "x" * 65, "a%2Fb", "$x", "a;b", "a|b", "'", '{"$ne":1}', "\u0000", "a?b", "a#b"]


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.mark.parametrize("id", ["1", "-", "A.-9", LONGEST])
async def test_r_fhir_024_any_id_of_fhir_may_be_chosen(doctor: Caller, id: str) -> None:
    made = await doctor.put(f"/fhir/Patient/{id}", patient(id=id))

    assert made.status_code == 201, made.text
    assert read(await doctor.get(f"/fhir/Patient/{id}"))["id"] == id


@pytest.mark.parametrize("id", NO_IDS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_r_fhir_024_what_is_no_id_is_refused_in_the_address(doctor: Caller, method: str, id: str) -> None:
    body = patient(id=id) if method == "PUT" else b""

    answer = await doctor.ask(method, f"/fhir/Patient/{quote(id, safe='')}", body)

    assert answer.status_code in {400, 404}, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"


async def test_r_fhir_024_the_same_id_in_two_types_is_two_resources(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/shared", patient(id="shared"))
    await doctor.put("/fhir/Organization/shared", {"resourceType": "Organization", "id": "shared", "name": "x"})

    await doctor.delete("/fhir/Patient/shared")

    assert (await doctor.get("/fhir/Patient/shared")).status_code == 410
    assert (await doctor.get("/fhir/Organization/shared")).status_code == 200


async def test_r_fhir_008_what_the_server_gives_replaces_what_the_client_sent(doctor: Caller) -> None:
    sent = {"versionId": "9", "lastUpdated": "1999-01-01T00:00:00Z", "profile": ["urn:p"], "source": "urn:s"}

    made = read(await doctor.post("/fhir/Patient", patient(id="theirs", meta=sent)))

    assert made["id"] != "theirs"
    assert (made["meta"]["versionId"], made["meta"]["profile"], made["meta"]["source"]) == ("1", ["urn:p"], "urn:s")
    assert not made["meta"]["lastUpdated"].startswith("1999")
    assert (await doctor.get("/fhir/Patient/theirs")).status_code == 404


async def test_r_fhir_008_two_creates_never_share_an_id(doctor: Caller) -> None:
    ids = [read(await doctor.post("/fhir/Patient", patient()))["id"] for _ in range(20)]

    assert len(set(ids)) == 20


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_r_fhir_008_a_body_of_another_type_than_the_address_is_400(doctor: Caller, method: str) -> None:
    path = "/fhir/Patient" + ("/typed" if method == "PUT" else "")

    answer = await doctor.ask(method, path, {"resourceType": "Organization", "id": "typed", "name": "x"})

    assert (answer.status_code, read(answer)["issue"][0]["code"]) == (400, "invalid")


@pytest.mark.parametrize("id", [None, "other", 5, ""])
async def test_r_fhir_011_an_update_whose_body_has_not_the_id_of_the_address_is_400(doctor: Caller, id: object) -> None:
    body = patient() if id is None else patient(id=id)

    answer = await doctor.put("/fhir/Patient/addressed", body)

    assert answer.status_code == 400
    assert (await doctor.get("/fhir/Patient/addressed")).status_code == 404


async def test_r_fhir_011_a_deleted_id_comes_to_life_again_as_the_next_version(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/reborn", patient("First", id="reborn"))
    await doctor.delete("/fhir/Patient/reborn")

    back = await doctor.put("/fhir/Patient/reborn", patient("Third", id="reborn"))

    assert back.headers["etag"] == 'W/"3"'
    assert (await doctor.get("/fhir/Patient/reborn/_history/1")).status_code == 200
    assert (await doctor.get("/fhir/Patient/reborn/_history/2")).status_code == 410
    assert read(await doctor.get("/fhir/Patient/reborn"))["name"][0]["family"] == "Third"


@pytest.mark.parametrize("version", ["0", "3", "x", "-1", "1e0", "999999999999"])
async def test_r_fhir_007_a_version_that_never_was_is_404(doctor: Caller, version: str) -> None:
    await doctor.put("/fhir/Patient/once", patient(id="once"))

    answer = await doctor.get(f"/fhir/Patient/once/_history/{version}")

    assert (answer.status_code, read(answer)["issue"][0]["code"]) == (404, "not-found")


async def test_r_fhir_007_a_version_says_which_it_is_and_never_changes(doctor: Caller) -> None:
    first = await doctor.put("/fhir/Patient/kept", patient("One", id="kept"))
    await doctor.put("/fhir/Patient/kept", patient("Two", id="kept"))

    then = await doctor.get("/fhir/Patient/kept/_history/1")

    assert then.content == first.content
    assert (then.headers["etag"], then.headers["last-modified"]) == ('W/"1"', first.headers["last-modified"])


async def test_r_fhir_015_deleting_what_never_was_is_no_fault(doctor: Caller) -> None:
    answer = await doctor.delete("/fhir/Patient/never-was")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await doctor.get("/fhir/Patient/never-was")).status_code == 404


async def test_r_fhir_015_a_deletion_stands_in_the_history_without_a_resource(doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/told", patient(id="told"))
    await doctor.delete("/fhir/Patient/told")

    newest, oldest = read(await doctor.get("/fhir/Patient/told/_history"))["entry"]

    assert (newest["request"]["method"], "resource" in newest) == ("DELETE", False)
    assert (oldest["request"]["method"], oldest["resource"]["id"]) == ("PUT", "told")


async def test_r_fhir_041_a_search_that_finds_nothing_is_200_with_a_total_and_no_entry(doctor: Caller) -> None:
    answer = await doctor.get("/fhir/Patient?_id=nobody")

    assert answer.status_code == 200
    assert (read(answer)["type"], read(answer)["total"]) == ("searchset", 0)
    assert "entry" not in read(answer)


async def test_r_fhir_028_one_policy_for_what_is_refused(clinic: InProcess, doctor: Caller) -> None:
    await doctor.put("/fhir/Patient/mine", patient(id="mine"))
    await doctor.put("/fhir/Patient/hidden", patient(id="hidden"))
    own = clinic.caller("patient/Patient.rs", patient="mine")

    nobody = await clinic.stranger.get("/fhir/Patient/mine")
    other_type = await own.get("/fhir/Observation/1")
    hidden, unknown = await own.get("/fhir/Patient/hidden"), await own.get("/fhir/Patient/unknown")

    assert (nobody.status_code, other_type.status_code, hidden.status_code) == (401, 403, 404)
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert 'error="insufficient_scope"' in other_type.headers["www-authenticate"]
    assert (hidden.status_code, hidden.content) == (unknown.status_code, unknown.content)
    assert [entry["resource"]["id"] for entry in read(await own.get("/fhir/Patient"))["entry"]] == ["mine"]
