"""The synthetic resources are valid FHIR, and as many share a name as the search is said to find."""

import pytest

from benchmarks import payloads
from benchmarks.figures import request
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json


def test_a_patient_is_valid_and_of_the_size_that_the_report_names() -> None:
    raw = payloads.other_patient(7)

    validate(json.decode(raw))

    assert 1600 <= len(raw) <= 1800


def test_a_transaction_has_a_patient_and_their_observations_all_valid() -> None:
    entries = json.decode(payloads.transaction(3))["entry"]

    for entry in entries:
        validate(entry["resource"])

    assert len(entries) == payloads.ENTRIES
    assert {entry["resource"]["subject"]["reference"] for entry in entries[1:]} == {entries[0]["fullUrl"]}


def test_twenty_searched_patients_share_a_name_and_nobody_else_has_it() -> None:
    groups = [payloads.family(group) for group in range(20_000)]

    patients = [json.decode(payloads.searched_patient(number)) for number in range(payloads.SAME_NAME + 1)]

    names = [patient["name"][0]["family"] for patient in patients]
    assert names == [groups[0]] * payloads.SAME_NAME + [groups[1]]
    assert len({name[:6] for name in groups}) == len(groups)


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_request_states_the_length_of_its_body(body: bytes) -> None:
    asked = request("POST", "/fhir", "t0ken", body)

    head, _, rest = asked.partition(b"\r\n\r\n")
    assert rest == body
    assert (b"Content-Length: 2" in head) == bool(body)
    assert b"Authorization: Bearer t0ken" in head
