"""`Patient/[id]/$everything`: row S11; https://hl7.org/fhir/R4/patient-operation-everything.html."""

from urllib.parse import urlsplit

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio


def entries(answer: Response) -> list[Json]:
    assert answer.status_code == 200, answer.text
    bundle = read(answer)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    found: list[Json] = bundle.get("entry", [])
    return found


def named(answer: Response) -> set[str]:
    return {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in entries(answer)}


def observation(id: str, of: str, on: str) -> Json:
    found: Json = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "Skin"}}
    return {
        **found,
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": on,
        "performer": [{"reference": "Practitioner/everything-doctor"}],
    }


@pytest.fixture(scope="module")
async def doctor(clinic: InProcess) -> Caller:
    """Two patients; of the first what many types hold."""
    found = clinic.caller()
    await found.store({"resourceType": "Practitioner", "id": "everything-doctor", "name": [{"family": "Who"}]})
    for id in ("everything-ann", "everything-ben"):
        await found.store({**patient("All"), "id": id})
        await found.store(observation(f"old-{id}", id, "2019-05-01"))
        await found.store(observation(f"new-{id}", id, "2026-02-01"))
    await found.store(
        {
            "resourceType": "DocumentReference",
            "id": "everything-report",
            "status": "current",
            "subject": {"reference": "Patient/everything-ann"},
            "content": [{"attachment": {"contentType": "text/plain", "data": "UmVwb3J0"}}],
        }
    )
    await found.store({**consent("everything-ann"), "id": "everything-consent"})
    await found.store({**media("everything-ann", jpeg()), "id": "everything-photo"})
    return found


EVERYTHING = {
    "Patient/everything-ann",
    "Observation/old-everything-ann",
    "Observation/new-everything-ann",
    "DocumentReference/everything-report",
    "Consent/everything-consent",
    "Media/everything-photo",
    "Practitioner/everything-doctor",
}
PATH = "/fhir/Patient/everything-ann/$everything"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_s11_s55_s105_all_of_a_patient_comes_and_nothing_of_another(doctor: Caller, method: str) -> None:
    assert named(await doctor.ask(method, PATH)) == EVERYTHING


async def test_start_and_end_bound_the_dates_of_care(doctor: Caller) -> None:
    assert EVERYTHING - named(await doctor.get(f"{PATH}?start=2026-01-01")) == {"Observation/old-everything-ann"}
    assert EVERYTHING - named(await doctor.get(f"{PATH}?end=2020-01-01")) >= {"Observation/new-everything-ann"}


async def test_types_can_be_named_in_the_address_or_in_parameters(doctor: Caller) -> None:
    body: Json = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Media"}]}

    assert named(await doctor.get(f"{PATH}?_type=Media")) >= {"Media/everything-photo"}
    assert "Observation/old-everything-ann" not in named(await doctor.post(PATH, body))


async def test_pages_bring_each_match_once(doctor: Caller) -> None:
    seen: list[str] = []
    path = f"{PATH}?_count=2"
    for _ in range(10):
        answer = await doctor.get(path)
        seen += [
            f"{one['resource']['resourceType']}/{one['resource']['id']}"
            for one in entries(answer)
            if one["search"]["mode"] == "match"
        ]
        following = [link["url"] for link in read(answer)["link"] if link["relation"] == "next"]
        if not following:
            break
        parts = urlsplit(following[0])
        path = f"{parts.path}?{parts.query}"

    assert len(seen) == len(set(seen))
    assert set(seen) == EVERYTHING - {"Practitioner/everything-doctor"}


async def test_r_smart_052_a_patient_gets_their_own_and_learns_of_nobody_else(
    clinic: InProcess, doctor: Caller
) -> None:
    ann = clinic.caller("patient/*.rs", patient="everything-ann")

    assert named(await ann.get(PATH)) == EVERYTHING
    assert (await ann.get("/fhir/Patient/everything-ben/$everything")).status_code == 404
    assert (await doctor.get("/fhir/Patient/nobody/$everything")).status_code == 404


async def test_what_the_scopes_do_not_grant_is_left_out(clinic: InProcess, doctor: Caller) -> None:
    narrow = clinic.caller("system/Patient.rs", "system/Observation.rs")

    assert named(await narrow.get(PATH)) == {one for one in EVERYTHING if one.startswith(("Patient", "Observation"))}


@pytest.mark.parametrize(
    "query", ["nonsense=1", "_type=Nonsense", "start=soon", "_count=2&_count=3", "_page=x&_count=2"]
)
async def test_what_is_no_parameter_is_refused(doctor: Caller, query: str) -> None:
    assert (await doctor.get(f"{PATH}?{query}")).status_code == 400


@pytest.mark.parametrize("parameter", [{"name": "_type"}, {"valueCode": "Media"}, 7])
async def test_parameters_without_name_or_value_are_refused(doctor: Caller, parameter: object) -> None:
    assert (await doctor.post(PATH, {"resourceType": "Parameters", "parameter": [parameter]})).status_code == 400
    assert (await doctor.post(PATH, {"resourceType": "Patient"})).status_code == 400


async def test_a_withdrawn_consent_takes_the_photo_out(doctor: Caller) -> None:
    assert (await doctor.post("/fhir/Consent/everything-consent/$withdraw")).status_code == 200

    assert EVERYTHING - named(await doctor.get(PATH)) == {"Media/everything-photo"}
