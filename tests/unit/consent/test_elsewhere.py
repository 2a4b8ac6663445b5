"""Pictures that stand in no Media, on an engine in memory: whose they are, on what they come in and go out."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import ANONYMISATION
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change, ConsentBasis, HeadMove, Unmoved
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.fakes.clinic import BASE, FakeClinic
from tests.samples import consent, jpeg
from tests.unit.engine.calls import call

pytestmark = pytest.mark.anyio

PICTURE: Json = {"contentType": "image/jpeg", "data": base64.b64encode(jpeg(200)).decode()}
LETTER, ANN = ResourceKey("DocumentReference", "l"), ResourceKey("Patient", "ann")
BACK_END = call(Interaction.READ).principal
STAFF = Principal("nurse", "client", "issuer", "jti", ("user/*.cruds",))


def letter(**more: object) -> Json:
    content = [{"attachment": PICTURE}]
    return {"resourceType": "DocumentReference", "status": "current", "content": content, **more}


def task() -> Json:
    return {"resourceType": "Task", "status": "draft", "intent": "plan", "input": [{"valueAttachment": PICTURE}]}


def calling(principal: Principal = BACK_END) -> Call:
    return call(Interaction.READ, principal=principal)


def gate_of(clinic: FakeClinic) -> Gate:
    standing = Standing(clinic.resources, clinic.heads, law_of("eu"))
    return Gate(standing, clinic.resources, BASE, clinic.elsewhere)


async def keep(clinic: FakeClinic, key: ResourceKey, resource: Json, *subjects: str) -> Stored:
    change = Change(key, {**resource, "id": key.id}, clinic.memory.current.get(key), subjects)
    [stored] = await clinic.resources.commit([change])
    return stored


async def agree(clinic: FakeClinic, patient: str, **more: Any) -> ConsentBasis:
    key = ResourceKey("Consent", f"of-{patient}")
    change = Change(key, {**consent(patient, **more), "id": key.id}, None, (patient,))
    [stored] = await clinic.resources.commit([change._replace(heads=(HeadMove(patient, key, 1, in_force=True),))])
    [head] = (await clinic.heads.heads([patient])).values()
    return ConsentBasis(key, stored.version, patient, head.epoch)


async def test_t_92_a_picture_in_proof_is_evidence_and_one_in_a_task_is_a_photo() -> None:
    clinic = FakeClinic()
    scan = {**consent("ann"), "sourceAttachment": PICTURE}
    stored = {
        key.type: await keep(clinic, key, resource, "ann")
        for key, resource in (
            (LETTER, letter()),
            (ResourceKey("Task", "t"), task()),
            (ResourceKey("Consent", "c"), scan),
        )
    }

    assert {type: await clinic.elsewhere.seen_in(one) for type, one in stored.items()} == {
        "DocumentReference": True,
        "Task": True,
        "Consent": False,
    }
    assert await clinic.elsewhere.stands_in(task())
    assert not await clinic.elsewhere.stands_in(scan)
    assert not await clinic.elsewhere.seen_in(replace(stored["Task"], deleted=True))


async def test_the_content_of_a_media_stands_nowhere_else_and_what_it_contains_does() -> None:
    media: Json = {"resourceType": "Media", "status": "completed", "content": PICTURE}

    assert not await FakeClinic().elsewhere.stands_in(media)
    assert await FakeClinic().elsewhere.stands_in({**media, "contained": [{**media, "id": "inner"}]})


async def test_of_whom_a_binary_is_is_followed_four_steps_and_no_further() -> None:
    clinic = FakeClinic()
    for number, patient in enumerate(["ann", "ben", "cai", "dan", "eve"], 1):
        context = {"securityContext": {"reference": f"Binary/{number + 1}"}}
        await keep(clinic, ResourceKey("Binary", str(number)), {"resourceType": "Binary", **context}, patient)
    first = {"securityContext": {"reference": f"{BASE}/Binary/1"}}

    assert await clinic.elsewhere.patients(first, ["zoe"]) == ["ann", "ben", "cai", "dan", "zoe"]
    assert await clinic.elsewhere.patients({"securityContext": {"reference": "Binary/none"}}, ["zoe"]) == ["zoe"]
    clinic.memory.current[ResourceKey("Binary", "2")] = replace(
        clinic.memory.current[ResourceKey("Binary", "2")], deleted=True
    )
    assert await clinic.elsewhere.patients(first, []) == ["ann"]


async def test_s_110_a_picture_comes_in_on_the_basis_of_each_whom_it_may_show() -> None:
    clinic = FakeClinic()
    gate, change = gate_of(clinic), Change(LETTER, letter(), None, ("ann", "ben"))
    await keep(clinic, LETTER, letter(), "ann", "ben")
    of_ann = await agree(clinic, "ann")

    with pytest.raises(NoLegalBasisError):
        await gate.prepare(calling(), change)

    of_ben = await agree(clinic, "ben")
    taken = await gate.prepare(calling(), change)
    assert taken.basis == of_ann
    assert taken.unmoved == (Unmoved("ben", of_ben.epoch),)


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        (letter(date="2026-01-04T10:00:00Z"), "DocumentReference.date"),
        ({"resourceType": "Media", "createdDateTime": "2026-01-04", "content": PICTURE}, "Media.created"),
        ({"resourceType": "Observation", "issued": "2026-01-04T10:00:00Z", "extension": [PICTURE]}, "Observation"),
    ],
)
async def test_t_99_a_new_picture_is_not_dated_before_its_consent(resource: Json, place: str) -> None:
    clinic, key = FakeClinic(), ResourceKey(resource["resourceType"], "l")
    pictured = {**resource, "subject": {"reference": "Patient/ann"}}
    await keep(clinic, ANN, {"resourceType": "Patient"}, "ann")
    basis = await agree(clinic, "ann", dateTime="2026-01-05T10:00:00Z")
    gate, new = gate_of(clinic), Change(key, pictured, None, ("ann",))

    with pytest.raises(ConflictError) as refused:
        await gate.prepare(calling(), new)

    assert refused.value.issues[0].expression == place
    stored = await keep(clinic, key, pictured, "ann")
    again = await gate.prepare(calling(), new._replace(previous=stored))
    assert again.basis == basis, "it was there before"
    with pytest.raises(ConflictError):
        await gate.prepare(calling(), new._replace(previous=replace(stored, deleted=True)))


async def test_a_picture_that_was_there_is_not_taken_anew_by_who_did_not_see_it() -> None:
    clinic = FakeClinic()
    dated = letter(date="2026-01-04T10:00:00Z")
    stored = await keep(clinic, LETTER, dated, "ann")
    basis = await agree(clinic, "ann", dateTime="2026-01-05T10:00:00Z")
    masked = replace(stored.showing({"resourceType": LETTER.type}), masked_from=stored)

    changed = await gate_of(clinic).prepare(calling(), Change(LETTER, dated, masked, ("ann",)))

    assert changed.basis == basis


async def test_s_110_a_picture_goes_out_on_a_basis_and_is_refused_by_name() -> None:
    clinic = FakeClinic()
    stored = await keep(clinic, LETTER, letter(), "ann")
    gate, refused, shown = gate_of(clinic), calling(), calling()

    with pytest.raises(NoLegalBasisError):
        await gate.disclose(refused, stored)

    basis = await agree(clinic, "ann")
    assert await gate.disclose(shown, stored) is stored
    assert shown.trace.bases == {"ann": basis}
    assert set(shown.trace.decisions) == set(refused.trace.decisions) == {("ann", LETTER)}


async def test_s_78_a_picture_in_a_document_shows_as_little_as_its_consent_asks_for() -> None:
    clinic = FakeClinic()
    masked = [{"url": ANONYMISATION, "valueCode": "eyes-masked"}]
    shown = await keep(clinic, LETTER, letter(extension=masked), "ann")
    other = await keep(clinic, ResourceKey("DocumentReference", "n"), letter(), "ann")
    await agree(clinic, "ann", extension=masked)
    gate = gate_of(clinic)

    assert await gate.disclose(calling(), shown) is shown
    assert (await gate.prepare(calling(), Change(LETTER, shown.resource, None, ("ann",)))).basis
    with pytest.raises(NoLegalBasisError):
        await gate.disclose(calling(), other)


async def test_s_72_a_patient_is_shown_without_the_picture_that_nobody_may_see() -> None:
    clinic = FakeClinic()
    entry: Json = {"resourceType": "Patient", "photo": [PICTURE], "gender": "female"}
    stored = await keep(clinic, ANN, entry, "ann")
    gate = gate_of(clinic)

    shown = await gate.disclose(calling(), stored)

    assert shown is not None
    assert (shown.masked_from, shown.resource["gender"], "photo" in shown.resource) == (stored, "female", False)
    without = {"resourceType": "Patient", "id": "ann", "gender": "other"}
    kept = await gate.prepare(calling(), Change(ANN, without, stored, ("ann",)))
    assert kept.resource == {**without, "photo": [PICTURE]}, "who did not see it does not take it away"
    basis = await agree(clinic, "ann")
    taken = await gate.prepare(calling(), Change(ANN, without, stored, ("ann",)))
    assert (taken.resource, taken.basis) == (without, None)
    assert (await gate.prepare(calling(), Change(ANN, {**entry, "id": "ann"}, stored, ("ann",)))).basis == basis


async def test_s_110_a_binary_that_tells_of_nobody_is_shown_to_back_ends_alone() -> None:
    clinic = FakeClinic()
    binary: Json = {"resourceType": "Binary", **PICTURE}
    alone = await keep(clinic, ResourceKey("Binary", "b"), binary)
    context = {"securityContext": {"reference": "Organization/o"}}
    of_the_clinic = await keep(clinic, ResourceKey("Binary", "c"), {**binary, **context})
    of_ann = await keep(clinic, ResourceKey("Binary", "d"), binary, "ann")
    gate = gate_of(clinic)

    assert await gate.disclose(calling(), alone) is alone
    assert await gate.disclose(calling(STAFF), alone) is None
    assert await gate.disclose(calling(STAFF), of_the_clinic) is of_the_clinic
    with pytest.raises(NoLegalBasisError):
        await gate.disclose(calling(), of_ann)


async def test_the_picture_of_whom_no_consent_protects_is_shown() -> None:
    clinic = FakeClinic()
    practitioner: Json = {"resourceType": "Practitioner", "photo": [PICTURE]}
    stored = await keep(clinic, ResourceKey("Practitioner", "p"), practitioner)

    assert await gate_of(clinic).disclose(calling(STAFF), stored) is stored
