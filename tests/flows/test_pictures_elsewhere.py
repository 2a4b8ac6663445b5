"""A picture that stands in no Media passes the same gate, coming in and going out, whatever the scope."""

import base64

import pytest

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, patient

pytestmark = pytest.mark.anyio

SMALL, LARGE = jpeg(900), jpeg(1_300_000)
"""One stands in the resource's own seal, one beside it."""


@pytest.fixture(scope="module")
def back_end(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", client="archive")


def attachment(data: bytes) -> Json:
    return {"contentType": "application/octet-stream", "data": base64.b64encode(data).decode()}


def letter(ann: str, data: bytes, **more: object) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"Patient/{ann}"},
        "content": [{"attachment": attachment(data)}],
        **more,
    }


def binary(data: bytes, context: str) -> Json:
    given = {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(data).decode()}
    return {**given, "securityContext": {"reference": context}}


def holders(ann: str, data: bytes) -> dict[str, Json]:
    inner = {"resourceType": "Media", "id": "m", "status": "completed", "content": attachment(data)}
    about = {"reference": f"Patient/{ann}"}
    observed: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "Skin"}, "subject": about}
    drawn = {"url": "urn:drawing", "valueAttachment": attachment(data)}
    told = {"type": {"text": "picture"}, "valueAttachment": attachment(data)}
    return {
        "document": letter(ann, data),
        "contained": {**observed, "contained": [inner], "derivedFrom": [{"reference": "#m"}]},
        "extension": {**observed, "extension": [drawn]},
        "task": {"resourceType": "Task", "status": "draft", "intent": "plan", "for": about, "input": [told]},
        "binary": binary(data, f"Patient/{ann}"),
        "patient": {**patient(), "id": ann, "photo": [attachment(data)]},
    }


async def somebody(back_end: Caller) -> str:
    return str((await back_end.store(patient()))["id"])


@pytest.mark.parametrize("kind", holders("x", SMALL))
async def test_s_110_a_picture_anywhere_without_a_legal_basis_is_refused_and_nothing_is_kept(
    clinic: InProcess, back_end: Caller, kind: str
) -> None:
    resource = holders(await somebody(back_end), SMALL)[kind]
    before = await clinic.counts()
    path = f"/fhir/{resource['resourceType']}"

    refused = await (
        back_end.put(f"{path}/{resource['id']}", resource) if "id" in resource else back_end.post(path, resource)
    )

    assert refused.status_code == 403
    assert "no legal basis" in read(refused)["issue"][0]["diagnostics"]
    assert await clinic.counts() == before


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", sorted(holders("x", SMALL).keys() - {"patient"}))
async def test_s_110_t_57_it_leaves_by_no_door_once_the_consent_is_withdrawn(
    back_end: Caller, kind: str, data: bytes
) -> None:
    ann = await somebody(back_end)
    given = await back_end.store(consent(ann))
    stored = await back_end.store(holders(ann, data)[kind])
    path = f"/fhir/{stored['resourceType']}/{stored['id']}"
    assert (await back_end.get(path)).status_code == 200

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")

    for door in (path, f"{path}/_history/1"):
        assert (await back_end.get(door)).status_code == 403
    for door in (f"/fhir/{stored['resourceType']}?_id={stored['id']}", f"{path}/_history"):
        assert "entry" not in read(await back_end.get(door))


async def test_s_72_the_entry_of_a_patient_stays_readable_without_the_picture(
    clinic: InProcess, back_end: Caller
) -> None:
    ann = await somebody(back_end)
    given = await back_end.store(consent(ann))
    await back_end.store(holders(ann, SMALL)["patient"])
    path = f"/fhir/Patient/{ann}"
    assert "photo" in read(await back_end.get(path))

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")

    shown = read(await back_end.get(path))
    assert "photo" not in shown
    assert [tag["code"] for tag in shown["meta"]["tag"]] == ["SUBSETTED"]
    patched = await back_end.ask(
        "PATCH",
        path,
        b'[{"op":"add","path":"/gender","value":"female"}]',
        Content_Type="application/json-patch+json",
    )
    assert patched.status_code == 200
    assert (await back_end.put(path, {**patient(), "id": ann})).status_code == 200
    await back_end.store(consent(ann, dateTime=instant(clinic.clinic.surface.clock.now())))
    assert "photo" in read(await back_end.get(path)), "who did not see it did not take it away"


async def test_t_99_a_scan_that_is_dated_before_its_consent_is_refused(back_end: Caller) -> None:
    ann = await somebody(back_end)
    await back_end.store(consent(ann, dateTime="2026-01-05T10:00:00Z"))

    refused = await back_end.post("/fhir/DocumentReference", letter(ann, SMALL, date="2026-01-04T10:00:00Z"))

    assert refused.status_code == 409
    assert read(refused)["issue"][0]["expression"] == ["DocumentReference.date"]


async def test_s_110_a_picture_of_two_needs_the_consent_of_both(back_end: Caller) -> None:
    ann, ben = await somebody(back_end), await somebody(back_end)
    both = letter(ann, SMALL, context={"related": [{"reference": f"Patient/{ben}"}]})
    await back_end.store(consent(ann))
    assert (await back_end.post("/fhir/DocumentReference", both)).status_code == 403

    given = await back_end.store(consent(ben))
    stored = await back_end.store(both)
    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert (await back_end.get(f"/fhir/DocumentReference/{stored['id']}")).status_code == 403


async def test_s_110_a_binary_is_of_whom_its_security_context_names(clinic: InProcess, back_end: Caller) -> None:
    ann = await somebody(back_end)
    scan = await back_end.store({**letter(ann, b"%PDF-1.7" + bytes(99))})
    within = binary(SMALL, f"DocumentReference/{scan['id']}")
    assert (await back_end.post("/fhir/Binary", within)).status_code == 403

    given = await back_end.store(consent(ann))
    stored = await back_end.store(within)
    assert (await clinic.caller("user/*.rs").get(f"/fhir/Binary/{stored['id']}")).content == SMALL

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
    assert (await back_end.get(f"/fhir/Binary/{stored['id']}")).status_code == 403


async def test_s_110_a_binary_that_tells_of_nobody_is_a_matter_between_back_ends(
    clinic: InProcess, back_end: Caller
) -> None:
    stored = await back_end.store(
        {name: value for name, value in binary(SMALL, "x").items() if name != "securityContext"}
    )

    assert (await back_end.get(f"/fhir/Binary/{stored['id']}")).content == SMALL
    assert (await clinic.caller("user/*.rs").get(f"/fhir/Binary/{stored['id']}")).status_code == 404


async def test_the_picture_of_a_practitioner_asks_no_patient(clinic: InProcess, back_end: Caller) -> None:
    stored = await back_end.store({"resourceType": "Practitioner", "photo": [attachment(SMALL)]})

    assert "photo" in read(await clinic.caller("user/*.rs").get(f"/fhir/Practitioner/{stored['id']}"))


async def test_t_92_the_scan_of_a_signed_form_is_evidence_and_no_photo(back_end: Caller) -> None:
    ann = await somebody(back_end)
    scanned = {**consent(ann, kind="deny"), "sourceAttachment": attachment(SMALL)}

    stored = await back_end.store(scanned)

    assert (await back_end.get(f"/fhir/Consent/{stored['id']}")).status_code == 200
