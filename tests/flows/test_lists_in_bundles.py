"""Histories and searches as GET entries of a Bundle: answered as if each had come alone, seen after the writes.

R-FHIR-018, R-FHIR-019, R-FHIR-020; https://hl7.org/fhir/R4/http.html#transaction
"""

from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.samples import patient
from tests.trail import said

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("kind", ["batch", "transaction"])


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", "system/AuditEvent.crs")


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    """A patient of two versions, with an Observation."""
    stored = await doctor.store(patient("Before"))
    await doctor.store({**patient("After"), "id": stored["id"]})
    await doctor.store(observation(stored["id"]))
    return str(stored["id"])


def observation(patient_id: str) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Skin type"}, "subject": subject}


@KINDS
@pytest.mark.parametrize(
    "url",
    [
        "Patient/{}/_history",
        "Patient/{}/_history?_count=1",
        "Patient/{}/_history?_since=2199-01-01T00:00:00Z",
        "Patient/_history?_count=2",
        "_history?_count=2&_elements=id",
        "Patient/{}/Observation",
        "Patient/{}/Observation?status=final&_summary=true",
        "Patient/{}/*?_type=Observation",
        "?_type=Patient&_id={}",
        "Patient?_id={}",
    ],
)
async def test_r_fhir_018_019_020_an_entry_is_answered_like_the_same_request_alone(
    doctor: Caller, person: str, kind: str, url: str
) -> None:
    asked = url.format(person)

    answer = await doctor.post("/fhir", batch(kind, ("GET", asked, None), ("HEAD", asked, None)))
    alone = await doctor.get(f"/fhir{'' if asked[0] == '?' else '/'}{asked}")

    assert answer.status_code == 200, answer.text
    seen, headed = read(answer)["entry"]
    assert seen["response"] == headed["response"] == {"status": "200"}
    assert "resource" not in headed
    assert without_links(seen["resource"]) == without_links(read(alone))
    assert links(seen["resource"])["self"] == links(read(alone))["self"]
    if following := links(seen["resource"]).get("next"):
        assert read(await doctor.get(following))["type"] == seen["resource"]["type"]


def links(bundle: Json) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


def without_links(bundle: Json) -> Json:
    return {name: value for name, value in bundle.items() if name != "link"}


async def test_r_fhir_020_a_history_in_a_transaction_tells_of_what_it_wrote(doctor: Caller, person: str) -> None:
    """Also of what was not there before."""
    answer = await doctor.post(
        "/fhir",
        batch(
            "transaction",
            ("GET", "Patient/listed-now/_history", None),
            ("GET", f"Patient/{person}/_history", None),
            ("PUT", "Patient/listed-now", {**patient(), "id": "listed-now"}),
            ("PUT", f"Patient/{person}", {**patient("Third"), "id": person}),
        ),
    )

    made, grown, *_ = read(answer)["entry"]
    assert [entry["response"]["etag"] for entry in made["resource"]["entry"]] == ['W/"1"']
    assert [entry["response"]["etag"] for entry in grown["resource"]["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("Patient/never-was/_history", 404),
        ("Nothing/_history", 404),
        ("Patient/_history?_count=0", 400),
        ("Patient/x/Location", 400),
        ("Patient/x/$validate", 400),
    ],
)
async def test_r_fhir_020_what_cannot_be_answered_leaves_nothing_of_a_transaction(
    clinic: InProcess, doctor: Caller, url: str, status: int
) -> None:
    before = await clinic.counts()
    entries: list[Any] = [("POST", "Patient", patient()), ("GET", url, None)]

    whole = await doctor.post("/fhir", batch("transaction", *entries))
    assert whole.status_code == status, whole.text
    assert read(whole)["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert await clinic.counts() == before

    each = read(await doctor.post("/fhir", batch("batch", *entries)))["entry"]
    assert [entry["response"]["status"] for entry in each] == ["201", str(status)]


@KINDS
async def test_r_fhir_019_an_operation_in_a_bundle_is_refused_in_clear_words(doctor: Caller, kind: str) -> None:
    answer = await doctor.post("/fhir", batch(kind, ("POST", "Patient/$validate", patient())))

    outcome = read(answer)["entry"][0]["response"]["outcome"] if kind == "batch" else read(answer)
    assert outcome["issue"][0]["code"] == "not-supported"
    assert "ask for it alone" in outcome["issue"][0]["diagnostics"]


async def test_a_list_in_a_bundle_shows_what_its_caller_may_see(clinic: InProcess, doctor: Caller, person: str) -> None:
    own = (await doctor.store(patient()))["id"]
    app = clinic.caller("patient/*.rs", patient=own)

    answer = await app.post(
        "/fhir",
        batch(
            "batch",
            ("GET", f"Patient/{person}/_history", None),
            ("GET", "Patient/_history", None),
            ("GET", f"Patient/{person}/Observation", None),
            ("GET", "?_type=Patient", None),
            ("GET", "AuditEvent/_history", None),
        ),
    )

    assert [entry["response"]["status"] for entry in read(answer)["entry"]] == ["404", "200", "200", "200", "403"]
    assert person not in str([entry.get("resource", {}).get("entry") for entry in read(answer)["entry"]])


async def test_a_list_in_a_bundle_is_recorded_as_what_it_is(clinic: InProcess, doctor: Caller, person: str) -> None:
    async with clinic.trail.recording() as recorded:
        await doctor.post(
            "/fhir",
            batch("transaction", ("GET", f"Patient/{person}/_history", None), ("GET", "Patient/x/_history", None)),
        )
        await doctor.post(
            "/fhir", batch("batch", ("GET", f"Patient/{person}/_history", None), ("GET", f"Patient/{person}/*", None))
        )

    assert {said(event) for event in recorded.events} == {
        ("transaction", "4"),
        ("history-instance", "0"),
        ("search-system", "0"),
    }
