"""Somebody passes a document off as a receipt of destruction, or keeps a real one from being filed."""

import hashlib
from typing import Any

import pytest

from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.classification import ANSWER, RECEIPT, RECEIPT_SYSTEM, key_class
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.attacks.watch import Watch
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.flows.withdrawals import Case, statement, until_done
from tests.samples import patient

pytestmark = pytest.mark.anyio

OF_RECEIPTS = {"system": RECEIPT_SYSTEM, "code": RECEIPT}


def document(patient_id: str, *coding: Json, **more: Any) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": list(coding)},
        "subject": {"reference": f"Patient/{patient_id}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}],
        **more,
    }


@pytest.mark.parametrize(
    "coding",
    [{"code": RECEIPT}, {"system": "http://loinc.org", "code": RECEIPT}, {"system": RECEIPT_SYSTEM, "code": "other"}],
)
async def test_a_code_of_another_system_puts_no_document_out_of_an_erasures_reach(
    mallory: Caller, coding: Json
) -> None:
    person = await mallory.store(patient())

    stored = await mallory.store(document(person["id"], coding))

    assert key_class(stored) is KeyClass.RECORD


async def test_nobody_but_the_server_files_a_receipt(clinic: InProcess, mallory: Caller, watch: Watch) -> None:
    person = await clinic.caller().store(patient())
    plain = await clinic.caller().store(document(person["id"], {"code": "letter"}))
    await watch.begin()
    false = document(person["id"], {"code": "letter"}, OF_RECEIPTS)
    answer = document(person["id"], {"system": RECEIPT_SYSTEM, "code": ANSWER})
    patch = json.encode([{"op": "add", "path": "/type/coding/-", "value": OF_RECEIPTS}])
    path = f"/fhir/DocumentReference/{plain['id']}"

    watch.refused(await mallory.post("/fhir/DocumentReference", false), 422)
    watch.refused(await mallory.post("/fhir/DocumentReference", answer), 422)
    watch.refused(await mallory.put("/fhir/DocumentReference/receipt-1", {**false, "id": "receipt-1"}), 422)
    watch.refused(await mallory.put(path, {**false, "id": plain["id"]}), 422)
    watch.refused(await mallory.ask("PATCH", path, patch, Content_Type="application/json-patch+json"), 422)
    watch.refused(await mallory.post("/fhir", batch("transaction", ("POST", "DocumentReference", false))), 422)


async def test_a_receipt_stays_as_it_was_filed(clinic: InProcess, mallory: Caller, watch: Watch) -> None:
    case = await Case(clinic.caller()).begin()
    await case.withdraw()
    await until_done(clinic)
    [receipt] = await case.receipts()
    await watch.begin()
    path = f"/fhir/DocumentReference/{receipt['id']}"

    watch.refused(await mallory.put(path, {**receipt, "status": "superseded"}), 405)
    watch.refused(await mallory.put(path, {**receipt, "type": {"text": "nothing"}}), 405)
    watch.refused(await mallory.delete(path), 405)
    watch.refused(await mallory.post("/fhir", batch("transaction", ("DELETE", path[6:], None))), 405)

    assert await case.receipts() == [receipt]


async def test_no_one_foresees_where_a_receipt_will_be_filed(clinic: InProcess, mallory: Caller) -> None:
    case = await Case(clinic.caller()).begin()
    cause = f"Consent/{case.consent['id']}/_history/2"
    for guess in (f"{case.patient} {cause}", cause, f"Patient/{case.patient} {cause}"):
        digest = hashlib.sha256(guess.encode()).hexdigest()
        id = f"receipt-{digest[:40]}"
        await mallory.store({**document(case.patient, {"code": "letter"}), "id": id})

    await case.withdraw()
    await until_done(clinic)

    [receipt] = [one for one in await case.receipts() if OF_RECEIPTS.items() <= one["type"]["coding"][0].items()]
    assert (await statement(clinic, receipt))["cause"] == cause
    assert read(await mallory.get(f"/fhir/DocumentReference/{receipt['id']}"))["meta"]["versionId"] == "1"
