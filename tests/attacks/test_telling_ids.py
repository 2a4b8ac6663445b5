"""Ids by which a state knows a person: none gets into an address, a URL that we make, a log or a row in clear."""

from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.attacks.watch import Watch
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch

pytestmark = pytest.mark.anyio

NUMBERS = {
    "NHS": "943-476-5919",
    "INS": "253072B07300470",
    "BSN": "111222333",
    "DNI": "12345678Z",
    "NIE": "X1234567L",
    "codice fiscale": "RSSMRA85T10A562S",
    "NISS": "85.07.30-033.28",
    "KVNR": "A123456780",
    "PESEL": "44051401359",
    "personnummer": "811218-9876",
    "with a label": "nhs-9434765919",
}


def patient(id: str) -> Json:
    return {"resourceType": "Patient", "id": id}


def observation(of: str, **more: Any) -> Json:
    found: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}
    return {**found, "subject": {"reference": of}}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
async def test_no_resource_gets_an_id_that_is_a_national_number(
    clinic: InProcess, watch: Watch, mallory: Caller, number: str
) -> None:
    answers = [
        await mallory.put(f"/fhir/Patient/{number}", patient(number)),
        await mallory.put(f"/fhir/Patient/{number}", patient(number), If_None_Match="*"),
        await mallory.put("/fhir/Patient?family=Nobody", patient(number)),
        await mallory.post("/fhir", batch("transaction", ("PUT", f"Patient/{number}", patient(number)))),
        await mallory.post("/fhir", batch("transaction", ("PUT", "Patient?family=Nobody", patient(number)))),
    ]
    alone = read(await mallory.post("/fhir", batch("batch", ("PUT", f"Patient/{number}", patient(number)))))

    for answer in answers:
        watch.refused(answer, 422)
        assert number not in answer.text
    assert [each["response"]["status"] for each in alone["entry"]] == ["422"]
    ours = [record.getMessage() for record in watch.logged.records if record.name.startswith("fhir_server")]
    assert not any(number in message for message in ours)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
async def test_nor_does_one_get_there_as_a_patient_that_a_resource_names(
    clinic: InProcess, watch: Watch, mallory: Caller, number: str
) -> None:
    """Nobody is stored under it, but whom a resource names stands in clear beside it."""
    carried: Json = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"https://old.example/Patient/{number}", "resource": patient(number)}],
    }
    answers = {
        "Observation.subject.reference": observation(f"Patient/{number}"),
        "Observation.performer[0].reference": observation(
            "Patient/x", performer=[{"reference": f"{clinic.base}/Patient/{number}/_history/1"}]
        ),
        "Observation.extension[0].value.reference": observation(
            "Patient/x", extension=[{"url": "urn:x", "valueReference": {"reference": f"Patient/{number}"}}]
        ),
        "Bundle": carried,
    }

    for place, resource in answers.items():
        answer = await mallory.post(f"/fhir/{resource['resourceType']}", resource)
        watch.refused(answer, 422)
        assert read(answer)["issue"][0]["expression"] == [place]
        assert number not in answer.text


async def test_an_integer_of_another_length_or_check_digit_is_an_id_like_any_other(mallory: Caller) -> None:
    for id in ("1", "42", "12345678", "1234567890", "9434765918", "20260105000123"):
        assert (await mallory.put(f"/fhir/Patient/{id}", patient(id))).status_code in {200, 201}
        assert (await mallory.post("/fhir/Observation", observation(f"Patient/{id}"))).status_code == 201
