"""S116, R-EHDS-006: patients see who had their record, when and what for; never what somebody searched for."""

from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.audit.access_log import shown
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

SECRET = "Nobodys-Name"
LOG = "/fhir/Patient/logged/$access-log"


@pytest.fixture(scope="module")
async def looked_at(clinic: InProcess) -> Caller:
    """The patient, of whose record somebody created, read and searched something."""
    doctor = clinic.caller(client="the-practice", fhir_user="Practitioner/log", name="Dr Log")
    await doctor.store(patient("Logged", id="logged"))
    await doctor.store(patient("Other", id="other-logged"))
    await doctor.get("/fhir/Patient/logged")
    await doctor.get(f"/fhir/Patient?family={SECRET},Logged")
    await doctor.get(f"/fhir/Observation/{SECRET}?subject=Patient/logged")
    return clinic.caller("patient/Patient.rs", patient="logged", fhir_user="Patient/logged", client="the-app")


def events(answer: Any) -> Sequence[Json]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in read(answer).get("entry", [])]


def codes(found: Sequence[Json]) -> list[str]:
    return [event["subtype"][0]["code"] for event in found]


async def test_s_116_a_patient_sees_who_had_their_record_newest_first(looked_at: Caller) -> None:
    found = events(await looked_at.get(LOG))

    assert codes(found)[-3:] == ["search-type", "read", "update"]
    last = found[-2]
    assert last["agent"][0]["who"]["identifier"]["value"] == "the-practice"
    assert [agent["name"] for agent in last["agent"] if "name" in agent] == ["Dr Log"]
    assert last["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    told = {one["what"]["reference"]: one.get("detail", []) for one in last["entity"]}
    assert set(told) == {"Patient/logged", "Patient/logged/_history/1"}
    assert {one["type"] for one in told["Patient/logged"]} == {"data-category", "data-origin"}
    assert any(tag["code"] == "SUBSETTED" for tag in last["meta"]["tag"])


async def test_neither_a_query_nor_an_address_nor_a_token_is_shown(looked_at: Caller) -> None:
    text = (await looked_at.get(LOG)).text

    assert SECRET not in text
    assert not [word for word in ("query", "network", "policy", "UserOauthAgent", "other-logged") if f'"{word}' in text]


async def test_the_look_is_recorded_and_seen_in_the_next_one(clinic: InProcess, looked_at: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        await looked_at.get(LOG)

    assert {"name": "$access-log"} in [{"name": one.get("name")} for one in recorded.only["entity"]]
    assert codes(events(await looked_at.get(LOG)))[0] == "operation"


async def test_it_is_paged_and_bounded_in_time(looked_at: Caller) -> None:
    first = read(await looked_at.get(f"{LOG}?_count=2"))
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = read(await looked_at.get(following.removeprefix("http://127.0.0.1:8000")))

    assert len(first["entry"]) == len(second["entry"]) == 2
    shown_first, shown_second = ({entry["resource"]["id"] for entry in page["entry"]} for page in (first, second))
    assert shown_first.isdisjoint(shown_second)
    assert events(await looked_at.get(f"{LOG}?date=lt2001-01-01")) == []
    mixed = f"{following.removeprefix('http://127.0.0.1:8000')}&_count=3"
    assert (await looked_at.get(mixed)).status_code == 400
    assert (await looked_at.get(f"{LOG}?agent=x")).status_code == 400


@pytest.mark.parametrize(
    ("scopes", "context", "status"),
    [
        (("patient/Patient.rs",), {"patient": "other-logged", "fhir_user": "Patient/other-logged"}, 404),
        (("patient/Observation.rs",), {"patient": "logged", "fhir_user": "Patient/logged"}, 403),
        (("patient/Patient.rs",), {"patient": "logged", "fhir_user": "Practitioner/log"}, 403),
        (("patient/Patient.rs",), {"patient": "logged", "fhir_user": "RelatedPerson/mother"}, 200),
        (("system/*.cruds",), {}, 403),
        (("system/Patient.rs", "system/AuditEvent.rs"), {}, 200),
    ],
)
async def test_it_is_for_the_patient_and_for_who_may_search_the_log(
    clinic: InProcess, looked_at: Caller, scopes: Sequence[str], context: dict[str, str], status: int
) -> None:
    del looked_at

    assert (await clinic.caller(*scopes, **context).get(LOG)).status_code == status


async def test_without_a_token_there_is_nothing(clinic: InProcess) -> None:
    assert (await clinic.stranger.get(LOG)).status_code == 401


async def test_of_an_event_that_a_client_sent_no_free_words_are_shown() -> None:
    sent: Json = {
        "resourceType": "AuditEvent",
        "type": {"code": "rest"},
        "recorded": "2026-01-01T00:00:00Z",
        "outcomeDesc": SECRET,
        "text": {"div": SECRET},
        "agent": [{"requestor": True, "who": {"display": "app"}, "network": {"address": SECRET}, "altId": SECRET}],
        "source": {"site": SECRET, "observer": {"display": "app"}},
        "entity": [
            {"query": SECRET, "what": {"reference": "Patient/logged"}, "name": SECRET, "description": SECRET},
            {"name": SECRET},
            {"what": {"display": SECRET}},
        ],
    }

    assert SECRET not in str(shown(sent))
    assert shown({**sent, "entity": []}).get("entity") is None
