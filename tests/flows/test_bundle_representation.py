"""What the entries of a bundle are answered with: conditions of reads, preferences, links; and reads that fail it all.

R-FHIR-017, 019, 020, 021, 023; https://hl7.org/fhir/R4/http.html#transaction, #transaction-response
"""

import asyncio
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("kind", ["batch", "transaction"])


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def bundled(doctor: Caller) -> Json:
    return await doctor.store(patient("Bundled", id="bundled"))


def entry(method: str, url: str, resource: Json | None = None, **request: Any) -> Json:
    found: Json = {"request": {"method": method, "url": url, **request}}
    return {**found, "resource": resource} if resource is not None else found


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entries(answer: Response) -> list[Json]:
    assert answer.status_code == 200, answer.text
    found: list[Json] = read(answer)["entry"]
    return found


def status(answer: Response, kind: str) -> int:
    """Of the only entry, wherever it is told."""
    return answer.status_code if kind == "transaction" else int(entries(answer)[0]["response"]["status"])


@KINDS
@pytest.mark.parametrize("url", ["Patient/bundled", "/Patient/bundled", "Patient/bundled/_history/1"])
async def test_r_fhir_023_an_entry_is_not_sent_what_the_client_has(doctor: Caller, kind: str, url: str) -> None:
    whole = read(await doctor.get("/fhir/Patient/bundled"))
    changed = whole["meta"]["lastUpdated"]

    answer = await doctor.post(
        "/fhir",
        bundle(
            kind,
            entry("GET", url, ifNoneMatch='W/"1"'),
            entry("GET", url, ifNoneMatch='W/"2"'),
            entry("GET", url, ifModifiedSince=changed),
            entry("GET", url, ifModifiedSince="2001-01-01T00:00:00Z"),
            entry("GET", url, ifModifiedSince="2199-01-01T00:00:00+02:00"),
            entry("GET", url, ifNoneMatch='W/"2"', ifModifiedSince="2199-01-01T00:00:00Z"),
            entry("GET", url, ifNoneMatch="*"),
        ),
    )

    found = entries(answer)
    assert [one["response"]["status"] for one in found] == ["304", "200", "304", "200", "304", "200", "304"]
    for one in found:
        assert one.get("resource") == (whole if one["response"]["status"] == "200" else None)
        assert (one["response"]["etag"], one["response"]["lastModified"]) == ('W/"1"', changed)


REFUSED: dict[str, tuple[str, str, Json]] = {
    "ifNoneExist that says nothing": ("POST", "Patient", {"ifNoneExist": ""}),
    "ifNoneExist of blanks": ("POST", "Patient", {"ifNoneExist": "  "}),
    "ifNoneExist that is no text": ("POST", "Patient", {"ifNoneExist": {"identifier": "x"}}),
    "ifNoneExist that is null": ("POST", "Patient", {"ifNoneExist": None}),
    "ifNoneExist without criteria": ("POST", "Patient", {"ifNoneExist": "?"}),
    "ifNoneExist of an update": ("PUT", "Patient/bundled", {"ifNoneExist": "_id=bundled"}),
    "ifMatch of a create": ("POST", "Patient", {"ifMatch": 'W/"1"'}),
    "ifNoneMatch of a create": ("POST", "Patient", {"ifNoneMatch": "*"}),
    "a version in ifNoneMatch of an update": ("PUT", "Patient/bundled", {"ifNoneMatch": 'W/"1"'}),
    "ifNoneMatch of an update by criteria": ("PUT", "Patient?_id=bundled", {"ifNoneMatch": "*"}),
    "ifMatch that says nothing": ("PUT", "Patient/bundled", {"ifMatch": ""}),
    "ifMatch that is a number": ("PUT", "Patient/bundled", {"ifMatch": 1}),
    "ifMatch of a delete by criteria": ("DELETE", "Patient?_id=bundled", {"ifMatch": 'W/"1"'}),
    "ifNoneMatch of a delete": ("DELETE", "Patient/bundled", {"ifNoneMatch": 'W/"1"'}),
    "ifMatch of a read": ("GET", "Patient/bundled", {"ifMatch": 'W/"1"'}),
    "ifModifiedSince that is a day": ("GET", "Patient/bundled", {"ifModifiedSince": "2026-01-01"}),
    "ifModifiedSince that is no time": ("GET", "Patient/bundled", {"ifModifiedSince": "yesterday"}),
    "ifModifiedSince of a patch": ("PATCH", "Patient/bundled", {"ifModifiedSince": "2026-01-01T00:00:00Z"}),
}


@KINDS
@pytest.mark.parametrize("what", REFUSED)
async def test_r_fhir_021_a_condition_that_cannot_be_met_is_refused_and_never_ignored(
    clinic: InProcess, doctor: Caller, kind: str, what: str
) -> None:
    method, url, condition = REFUSED[what]
    body = None if method in {"GET", "DELETE"} else {"resourceType": "Parameters"} if method == "PATCH" else patient()
    before = await clinic.counts()

    answer = await doctor.post("/fhir", bundle(kind, entry(method, url, body, **condition)))

    assert status(answer, kind) == 400, answer.text
    assert await clinic.counts() == before


@KINDS
async def test_r_fhir_017_a_bundle_answers_its_writes_as_preferred(doctor: Caller, kind: str) -> None:
    asked = bundle(
        kind,
        entry("POST", "Patient", patient("Posted")),
        entry("PUT", "Patient/preferred-in-bundle", patient("Put", id="preferred-in-bundle")),
        entry("DELETE", "Patient/never-was"),
        entry("GET", "Patient/bundled"),
    )

    plain, minimal, whole, told = [
        entries(await doctor.post("/fhir", asked, **({"Prefer": f"return={wanted}"} if wanted else {})))
        for wanted in ("", "minimal", "representation", "OperationOutcome")
    ]

    for found in (plain, minimal, told):
        assert ["resource" in one for one in found] == [False, False, False, True]
    assert [one["resource"]["name"][0]["family"] for one in whole if "resource" in one] == ["Posted", "Put", "Bundled"]
    assert whole[0]["resource"]["meta"]["versionId"] == "1"
    assert whole[0]["fullUrl"].endswith(f"/Patient/{whole[0]['resource']['id']}")
    assert ["outcome" in one["response"] for one in told] == [True, True, True, False]
    assert not any("outcome" in one["response"] for found in (plain, minimal, whole) for one in found)
    assert [one["response"]["status"] for one in told] == ["201", "200", "204", "200"]


async def test_what_is_answered_is_what_is_stored(doctor: Caller) -> None:
    """A transaction puts references right, and a photo's bytes aside, before it answers."""
    person = (await doctor.store(patient()))["id"]
    await doctor.store(consent(person))
    urn = "urn:uuid:11111111-1111-4111-8111-111111111112"
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    asked = bundle(
        "transaction",
        entry("POST", "Observation", {**observation, "subject": {"reference": urn}}),
        {**entry("POST", "Patient", patient("Urn")), "fullUrl": urn},
        entry("POST", "Media", media(person, jpeg())),
    )

    seen, who, photo = [
        one["resource"] for one in entries(await doctor.post("/fhir", asked, Prefer="return=representation"))
    ]

    assert seen["subject"]["reference"] == f"Patient/{who['id']}"
    assert "data" not in photo["content"]
    for resource in (seen, who, photo):
        assert read(await doctor.get(f"/fhir/{resource['resourceType']}/{resource['id']}")) == resource


@KINDS
async def test_r_fhir_042_a_search_in_a_bundle_has_its_links(clinic: InProcess, doctor: Caller, kind: str) -> None:
    for number in range(3):
        await doctor.store(patient("Searched", id=f"searched-{number}"))

    [one] = entries(await doctor.post("/fhir", bundle(kind, entry("GET", "Patient?family=Searched&_count=2"))))

    links = {link["relation"]: link["url"] for link in one["resource"]["link"]}
    assert links["self"] == f"{clinic.base}/Patient?family=Searched&_count=2"
    following = read(await doctor.get(links["next"]))
    ids = [each["resource"]["id"] for found in (one["resource"], following) for each in found["entry"]]
    assert sorted(ids) == ["searched-0", "searched-1", "searched-2"]


UNKNOWN, GONE, WITHHELD = (404, "not-found"), (410, "deleted"), (403, "suppressed")
UNANSWERED: dict[str, tuple[Json, set[tuple[int, str]]]] = {
    "unknown id": (entry("GET", "Patient/never-was"), {UNKNOWN}),
    "unknown version": (entry("GET", "Patient/bundled/_history/9"), {UNKNOWN}),
    "deleted before": (entry("GET", "Patient/bundled-gone"), {GONE}),
    "deleted here": (entry("GET", "Patient/bundled-going"), {GONE}),
    "no legal basis": (entry("GET", "Media/bundled-photo"), {WITHHELD, GONE}),
}
"""What rests on a withdrawn consent is withheld at once, and gone when the worker has been there."""


@pytest.fixture(scope="module")
async def unanswered(doctor: Caller) -> None:
    for id in ("bundled-gone", "bundled-going"):
        await doctor.store(patient(id=id))
    await doctor.delete("/fhir/Patient/bundled-gone")
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    await doctor.put("/fhir/Media/bundled-photo", media(person, jpeg(), id="bundled-photo"))
    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")


@pytest.mark.parametrize("what", UNANSWERED)
async def test_r_fhir_020_a_read_that_fails_fails_the_whole_transaction(
    clinic: InProcess, doctor: Caller, unanswered: None, what: str
) -> None:
    """R4: every entry ends in 2xx or 3xx, or nothing of the transaction is done."""
    failing, expected = UNANSWERED[what]
    before = await clinic.counts()

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir",
            bundle(
                "transaction",
                entry("POST", "Patient", patient()),
                entry("DELETE", "Patient/bundled-going"),
                failing,
                entry("GET", "Patient/bundled"),
            ),
        )

    [issue] = read(answer)["issue"]
    assert (answer.status_code, issue["code"]) in expected, answer.text
    assert issue["expression"] == ["Bundle.entry[2]"]
    assert await clinic.counts() == before
    assert (await doctor.get("/fhir/Patient/bundled-going")).status_code == 200
    assert [said(event) for event in recorded.events] == [("transaction", "4")]


async def test_r_fhir_020_a_read_without_a_right_fails_it_too(clinic: InProcess) -> None:
    before = await clinic.counts()
    writer = clinic.caller("system/Patient.cu")

    for url in ("Patient/bundled", "Patient?_id=bundled", "Observation/x"):
        answer = await writer.post(
            "/fhir", bundle("transaction", entry("POST", "Patient", patient()), entry("GET", url))
        )
        assert (answer.status_code, read(answer)["issue"][0]["code"]) == (403, "forbidden"), url
    assert await clinic.counts() == before


async def test_r_fhir_020_a_read_of_what_the_transaction_brings_succeeds(doctor: Caller) -> None:
    for number in (1, 2):
        answer = await doctor.post(
            "/fhir",
            bundle(
                "transaction",
                entry("GET", "Patient/brought"),
                entry("GET", f"Patient/brought/_history/{number}"),
                entry("PUT", "Patient/brought", patient(f"V{number}", id="brought")),
            ),
        )
        families = [one["resource"]["name"][0]["family"] for one in entries(answer)[:2]]
        assert families == [f"V{number}"] * 2


@pytest.mark.parametrize("wanted", ["GET", "POST"])
async def test_r_fhir_019_a_read_that_fails_in_a_batch_is_its_own_matter(doctor: Caller, wanted: str) -> None:
    beside = entry("POST", "Patient", patient()) if wanted == "POST" else entry("GET", "Patient/bundled")

    found = entries(await doctor.post("/fhir", bundle("batch", beside, entry("GET", "Patient/never-was"))))

    assert [one["response"]["status"] for one in found] == ["201" if wanted == "POST" else "200", "404"]


async def test_a_transaction_that_only_reads_is_recorded_read_by_read(clinic: InProcess, doctor: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        await doctor.post(
            "/fhir", bundle("transaction", entry("GET", "Patient/bundled"), entry("GET", "Patient?_id=bundled"))
        )

    kinds = sorted(said(event) for event in recorded.events)
    assert [kind for kind, _ in kinds if kind != "transaction"] == ["read", "search-type"]
    assert {outcome for _, outcome in kinds} == {"0"}


async def test_reads_that_fail_at_the_last_moment_are_told_in_their_entry(clinic: InProcess, doctor: Caller) -> None:
    """Between our look and the answer somebody may delete what was there: what was written stays, the read says so."""
    await doctor.store(patient(id="contended"))
    engine = clinic.clinic.engine
    commit = type(engine.store).commit

    async def deleted_meanwhile(self: Any, changes: Any) -> Any:
        done = await commit(self, changes)
        if changes and changes[0].method == "POST":
            await doctor.delete("/fhir/Patient/contended")
        return done

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(engine.store), "commit", deleted_meanwhile)
        answer = await doctor.post(
            "/fhir",
            bundle("transaction", entry("POST", "Patient", patient()), entry("GET", "Patient/contended")),
        )
        await asyncio.sleep(0)

    assert [one["response"]["status"] for one in entries(answer)] == ["201", "410"]
