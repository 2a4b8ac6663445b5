"""What R4 asks of a transaction: its order, its references, its size, and all of it or nothing.

R-FHIR-019 to 022; https://hl7.org/fhir/R4/http.html#trules, https://hl7.org/fhir/R4/bundle.html#references
"""

import secrets
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

MOST = 5_000
NHS_NUMBER = "9434765919"
ACTIVATE: list[Json] = [
    {"name": "type", "valueCode": "replace"},
    {"name": "path", "valueString": "Patient.active"},
    {"name": "value", "valueBoolean": True},
]


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
def id() -> str:
    return secrets.token_hex(8)


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    return {**made, "fullUrl": full_url} if full_url else made


def bundle(*entries: Json, kind: str = "transaction") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def observation(of: str, **more: Any) -> Json:
    subject = {"reference": of}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject, **more}


def responses(answer: Response) -> list[Json]:
    assert answer.status_code == 200, answer.text[:500]
    return [each["response"] for each in read(answer)["entry"]]


def statuses(answer: Response) -> list[str]:
    return [each["status"] for each in responses(answer)]


def made(clinic: InProcess, answer: Response) -> list[str]:
    """`Type/id` of each."""
    return [each["location"].removeprefix(f"{clinic.base}/").partition("/_history")[0] for each in responses(answer)]


async def test_r_fhir_020_entries_take_effect_in_r4s_order_whatever_their_own(doctor: Caller, id: str) -> None:
    """DELETE, POST, PUT and PATCH, GET and HEAD: the read sees the update, and criteria no more what was deleted."""
    number = [{"system": "urn:order", "value": f"number {id[::-1]}"}]
    await doctor.store(patient("Before", id=f"a-{id}"))
    await doctor.store(patient("Replaced", id=f"b-{id}", identifier=number))
    replaced = f"identifier=urn:order|number {id[::-1]}"
    patch = {"name": "operation", "part": ACTIVATE}

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("HEAD", f"Patient/c-{id}"),
            entry("GET", f"Patient/a-{id}"),
            entry("GET", f"Patient?{replaced}"),
            entry("PATCH", f"Patient/c-{id}", {"resourceType": "Parameters", "parameter": [patch]}),
            entry("PUT", f"Patient/a-{id}", patient("After", id=f"a-{id}")),
            entry("POST", "Patient", patient("New", identifier=number)),
            entry("DELETE", f"Patient/b-{id}"),
        ),
    )
    assert answer.status_code == 404, "nothing is patched that was not there before"
    await doctor.store(patient("Patched", id=f"c-{id}", active=False))

    done = read(
        await doctor.post(
            "/fhir",
            bundle(
                entry("HEAD", f"Patient/c-{id}"),
                entry("GET", f"Patient/a-{id}"),
                entry("GET", f"Patient?{replaced}"),
                entry("PATCH", f"Patient/c-{id}", {"resourceType": "Parameters", "parameter": [patch]}),
                entry("PUT", f"Patient/a-{id}", patient("After", id=f"a-{id}")),
                entry("POST", "Patient", patient("New", identifier=number)),
                entry("DELETE", f"Patient/b-{id}"),
                entry("HEAD", f"Patient?{replaced}"),
            ),
        )
    )["entry"]

    assert [each["response"]["status"] for each in done] == ["200", "200", "200", "200", "200", "201", "204", "200"]
    assert done[0]["response"]["etag"] == 'W/"2"'
    assert "resource" not in done[0]
    assert done[1]["resource"]["name"][0]["family"] == "After"
    assert [each["resource"]["name"][0]["family"] for each in done[2]["resource"]["entry"]] == ["New"]
    assert "resource" not in done[7]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_019_head_is_a_read_without_the_resource(
    clinic: InProcess, doctor: Caller, id: str, kind: str
) -> None:
    await doctor.store(patient(id=id))
    asked = [entry("HEAD", f"Patient/{id}"), entry("HEAD", f"Patient?_id={id}")]

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post("/fhir", bundle(*asked, kind=kind))
    missing = await doctor.post("/fhir", bundle(entry("HEAD", "Patient/never-was"), kind=kind))

    assert statuses(answer) == ["200", "200"]
    assert not any("resource" in each for each in read(answer)["entry"])
    searched, seen = sorted(said(event) for event in recorded.events if kind not in said(event)[0])[::-1]
    assert (seen, searched[1], "search" in searched[0]) == (("read", "0"), "0", True)
    assert (statuses(missing) == ["404"]) if kind == "batch" else missing.status_code == 404


async def test_r_fhir_021_a_relative_reference_means_the_entry_with_that_full_url(
    clinic: InProcess, doctor: Caller, id: str
) -> None:
    """R4, bundle.html#references: it is resolved against the fullUrl of the entry in which it stands."""
    root, other = f"https://old.example/{id}/fhir", f"https://other.example/{id}"

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("POST", "Observation", observation("Patient/1"), f"{root}/Observation/7"),
            entry("POST", "Observation", observation(f"{root}/Patient/1"), f"{other}/Observation/8"),
            entry("POST", "Observation", observation("Patient/1"), f"{other}/Observation/9"),
            entry("POST", "Observation", observation("Patient/1"), "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"),
            entry("POST", "Observation", observation("Patient/1")),
            entry("POST", "Patient", patient(), f"{root}/Patient/1"),
        ),
    )

    *observations, person = made(clinic, answer)
    subjects = [read(await doctor.get(f"/fhir/{each}"))["subject"]["reference"] for each in observations]
    assert subjects == [person, person, "Patient/1", "Patient/1", "Patient/1"]


async def test_r_fhir_021_a_relative_reference_to_what_keeps_its_id_stays(doctor: Caller, id: str) -> None:
    root = f"https://old.example/{id}/fhir"

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry(
                "PUT", f"Observation/o-{id}", {**observation(f"Patient/{id}"), "id": f"o-{id}"}, f"{root}/Observation/o"
            ),
            entry("PUT", f"Patient/{id}", patient(id=id), f"{root}/Patient/{id}"),
        ),
    )

    assert statuses(answer) == ["201", "201"]
    assert read(await doctor.get(f"/fhir/Observation/o-{id}"))["subject"]["reference"] == f"Patient/{id}"


async def test_a_full_url_may_be_a_national_number_elsewhere_and_nothing_of_it_is_kept(
    clinic: InProcess, doctor: Caller, id: str
) -> None:
    """Who moves in from a system with such ids gets others here."""
    root = f"https://old.example/{id}/fhir"

    answer = await doctor.post(
        "/fhir",
        bundle(
            entry("POST", "Patient", patient(), f"{root}/Patient/{NHS_NUMBER}"),
            entry("POST", "Observation", observation(f"Patient/{NHS_NUMBER}"), f"{root}/Observation/1"),
        ),
    )

    person, seen = made(clinic, answer)
    assert read(await doctor.get(f"/fhir/{seen}"))["subject"]["reference"] == person
    database = clinic.mongo[clinic.database]
    for name in await database.list_collection_names():
        assert not any(NHS_NUMBER in str(row) for row in await database[name].find({}).to_list()), name


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize("by", ["id", "criteria"])
async def test_an_id_that_is_a_national_number_is_refused_in_bundles_too(
    clinic: InProcess, doctor: Caller, kind: str, by: str
) -> None:
    url = f"Patient/{NHS_NUMBER}" if by == "id" else "Patient?identifier=urn:none|nothing"
    before = await clinic.counts()

    answer = await doctor.post("/fhir", bundle(entry("PUT", url, patient(id=NHS_NUMBER)), kind=kind))

    outcome = read(answer) if kind == "transaction" else responses(answer)[0]["outcome"]
    assert outcome["issue"][0]["code"] == "invalid"
    assert NHS_NUMBER not in str(outcome)
    assert await clinic.counts() == before


async def test_a_full_url_claims_no_such_id_on_this_server(clinic: InProcess, doctor: Caller) -> None:
    answer = await doctor.post(
        "/fhir", bundle(entry("POST", "Patient", patient(), f"{clinic.base}/Patient/{NHS_NUMBER}"))
    )

    assert answer.status_code == 422
    assert read(answer)["issue"][0]["expression"] == ["Bundle.entry[0].fullUrl"]


async def test_r_fhir_020_the_same_identity_twice_is_400_by_full_url_too(doctor: Caller) -> None:
    name = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0b"

    answer = await doctor.post(
        "/fhir", bundle(entry("POST", "Patient", patient(), name), entry("POST", "Patient", patient(), name))
    )

    assert answer.status_code == 400


async def test_a_photo_and_a_consent_may_come_with_their_patient_and_not_without(
    clinic: InProcess, doctor: Caller, id: str
) -> None:
    name = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0c"
    asked = consent("x") | {"patient": {"reference": name}}
    before = await clinic.counts()

    alone = await doctor.post("/fhir", bundle(entry("POST", "Consent", consent("never-was"))))
    deleted = await doctor.post(
        "/fhir",
        bundle(entry("PUT", f"Patient/{id}", patient(id=id)), entry("POST", "Consent", consent(id))),
    )
    assert (alone.status_code, statuses(deleted)) == (422, ["201", "201"])
    assert read(alone)["issue"][0]["expression"] == ["Bundle.entry[0].resource.patient"]
    after = await clinic.counts()
    assert after["resources"] == before["resources"] + 2

    gone = await doctor.post("/fhir", bundle(entry("DELETE", f"Patient/{id}"), entry("POST", "Consent", consent(id))))
    together = await doctor.post(
        "/fhir", bundle(entry("POST", "Consent", asked), entry("POST", "Patient", patient(), name))
    )

    assert (gone.status_code, statuses(together)) == (422, ["201", "201"])


async def test_r_fhir_020_five_thousand_entries_are_one_transaction(clinic: InProcess, doctor: Caller, id: str) -> None:
    who = f"Patient/{id}"
    texts = [observation(who, note=[{"text": f"{place} of {id}"}]) for place in range(MOST - 1)]
    before = await clinic.counts()

    answer = await doctor.post(
        "/fhir", bundle(*(entry("POST", "Observation", each) for each in texts), entry("PUT", who, patient(id=id)))
    )

    assert set(statuses(answer)) == {"201"}
    assert len(set(made(clinic, answer))) == MOST
    assert (await clinic.counts())["resources"] == before["resources"] + MOST
    last = read(await doctor.get(f"/fhir/{made(clinic, answer)[MOST - 2]}"))
    assert last["note"][0]["text"] == f"{MOST - 2} of {id}"


async def test_r_fhir_020_of_five_thousand_one_bad_entry_leaves_nothing(
    clinic: InProcess, doctor: Caller, id: str
) -> None:
    good = [entry("POST", "Observation", observation(f"Patient/{id}")) for _ in range(MOST - 1)]
    before = await clinic.counts()

    answer = await doctor.post("/fhir", bundle(*good, entry("POST", "Observation", observation("Practitioner/x"))))

    assert answer.status_code == 422
    assert read(answer)["issue"][0]["expression"] == [f"Bundle.entry[{MOST - 1}].resource.subject.reference"]
    assert await clinic.counts() == before


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_020_more_than_five_thousand_are_refused(clinic: InProcess, doctor: Caller, kind: str) -> None:
    before = await clinic.counts()

    answer = await doctor.post("/fhir", bundle(*[entry("POST", "Patient", patient())] * (MOST + 1), kind=kind))

    assert answer.status_code == 413
    assert read(answer)["issue"][0]["code"] == "too-long"
    assert await clinic.counts() == before


async def test_r_fhir_022_an_empty_transaction_is_answered_by_an_empty_one(doctor: Caller) -> None:
    answer = await doctor.post("/fhir", {"resourceType": "Bundle", "type": "transaction"})

    assert read(answer) == {"resourceType": "Bundle", "type": "transaction-response"}
