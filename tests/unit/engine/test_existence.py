"""What a write refers to is there: the patient of a photo and of a consent always, everything by setting."""

from typing import Any

import pytest

from fhir_server.engine.call import Interaction, Principal
from fhir_server.engine.interactions import Edit
from fhir_server.kernel.errors import ConflictError, ForbiddenError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.access import Access
from tests.fakes.clinic import BASE
from tests.samples import consent
from tests.unit.engine.calls import SERVER, Running, bundle, call, entry, holder, patient, running

pytestmark = pytest.mark.anyio

CREATE, UPDATE, DELETE = Interaction.CREATE, Interaction.UPDATE, Interaction.DELETE
TRANSACTION = call(Interaction.TRANSACTION, None)


def media(subject: Json | None, **more: Any) -> Json:
    found: Json = {"resourceType": "Media", "status": "completed", "content": {"title": "x"}, **more}
    return found if subject is None else {**found, "subject": subject}


def observation(*performers: str, subject: str = "Patient/ann") -> Json:
    found: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "skin"},
        "subject": {"reference": subject},
    }
    return {**found, "performer": [{"reference": one} for one in performers]} if performers else found


async def with_ann(at: Running) -> Running:
    await at.engine.update(call(UPDATE, id="ann"), patient("ann"))
    return at


async def create(at: Running, resource: Json, who: Principal | None = None) -> None:
    await at.engine.create(call(CREATE, resource["resourceType"], principal=who or call(CREATE).principal), resource)


async def refused(at: Running, resource: Json) -> list[tuple[str | None, str]]:
    with pytest.raises(UnprocessableError) as refusal:
        await create(at, resource)
    assert not at.clinic.memory.current.keys() - {ResourceKey("Patient", "ann"), ResourceKey("Patient", "gone")}
    return [(issue.expression, issue.code) for issue in refusal.value.issues]


MISSING = "not-found"


async def with_gone(at: Running) -> Running:
    await with_ann(at)
    await at.engine.update(call(UPDATE, id="gone"), patient("gone"))
    await at.engine.delete(call(DELETE, id="gone"))
    return at


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("named", ["nobody", "gone"])
async def test_the_patient_of_a_photo_and_of_a_consent_exists(named: str, *, setting: bool) -> None:
    at = await with_gone(running(refuse_missing=setting))

    assert await refused(at, media({"reference": f"Patient/{named}"})) == [("Media.subject", MISSING)]
    assert await refused(at, media({"reference": f"{BASE}/Patient/{named}"})) == [("Media.subject", MISSING)]
    assert await refused(at, consent(named)) == [("Consent.patient", MISSING)]

    for taken in (media({"reference": "Patient/ann"}), media({"reference": f"{BASE}/Patient/ann"}), consent("ann")):
        await create(at, taken)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "http://elsewhere.example/fhir/Patient/ann"},
        {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"},
        {"identifier": {"value": "7"}},
        {"display": "Ann"},
        {"reference": "Patient/ann/_history/2"},
        {"reference": "Patient/ann/_history/x"},
    ],
)
async def test_a_subject_that_is_not_stored_here_does_not_exist_here(subject: Json) -> None:
    assert await refused(await with_ann(running(refuse_missing=False)), media(subject)) == [("Media.subject", MISSING)]


async def test_a_photo_may_be_of_nobody_or_of_one_it_carries_and_of_a_version() -> None:
    at = await with_ann(running(refuse_missing=False))
    carried = media({"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}])

    for taken in (media(None), carried, media({"reference": "Patient/ann/_history/1"})):
        await create(at, taken)


async def test_updates_and_patches_are_asked_as_well() -> None:
    at = await with_ann(running(refuse_missing=False))
    await at.engine.update(call(UPDATE, "Media", "m"), {**media({"reference": "Patient/ann"}), "id": "m"})
    moved = {**media({"reference": "Patient/nobody"}), "id": "m"}
    edit: Edit = lambda _: moved  # noqa: E731  the whole patch of this test

    with pytest.raises(UnprocessableError):
        await at.engine.update(call(UPDATE, "Media", "m"), moved)
    with pytest.raises(UnprocessableError):
        await at.engine.amend(call(Interaction.PATCH, "Media", "m"), edit)

    assert at.clinic.memory.current[ResourceKey("Media", "m")].version == 1


async def test_a_consent_ends_even_when_its_patient_was_deleted() -> None:
    at = await with_ann(running(refuse_missing=True))
    await at.engine.update(call(UPDATE, "Consent", "c"), {**consent("ann"), "id": "c"})
    at.clinic.memory.current.pop(ResourceKey("Patient", "ann"))

    with pytest.raises(UnprocessableError):
        await at.engine.update(call(UPDATE, "Consent", "c"), {**consent("ann"), "id": "c"})
    ended = await at.engine.update(call(UPDATE, "Consent", "c"), {**consent("ann", status="inactive"), "id": "c"})

    assert ended.version == 2


async def test_by_default_nothing_else_is_looked_up() -> None:
    at = running(refuse_missing=False)

    await create(at, observation("Practitioner/nobody"))

    assert at.outcomes() == [("create", "0")]


async def test_by_setting_every_reference_is_looked_up_and_each_missing_one_is_named() -> None:
    at = await with_gone(running(refuse_missing=True))
    deep = {"extension": [{"url": "urn:x", "valueReference": {"reference": "Location/nowhere"}}]}
    contained = {
        "contained": [{"resourceType": "Practitioner", "id": "c", **deep}],
        "note": [{"text": "x", "authorReference": {"reference": "#c"}}],
    }

    asked = {**observation("Practitioner/x", "Patient/ann", "Patient/gone"), **deep, **contained}
    found = await refused(at, asked)

    assert sorted(found, key=str) == [
        ("Observation.contained[0].extension[0].value.reference", MISSING),
        ("Observation.extension[0].value.reference", MISSING),
        ("Observation.performer[0].reference", MISSING),
        ("Observation.performer[2].reference", MISSING),
    ]


@pytest.mark.parametrize(
    "elsewhere",
    ["http://elsewhere.example/fhir/Practitioner/1", "urn:oid:1.2.3", f"{BASE}/Patient/ann", "Patient/ann/_history/1"],
)
async def test_what_is_there_or_elsewhere_is_taken(elsewhere: str) -> None:
    at = await with_ann(running(refuse_missing=True))

    await create(at, observation(elsewhere))


@pytest.mark.parametrize("version", ["2", "0", "x", "99999999999"])
async def test_a_version_that_never_was_is_missing(version: str) -> None:
    at = await with_ann(running(refuse_missing=True))

    assert await refused(at, observation(f"Patient/ann/_history/{version}")) == [
        ("Observation.performer[0].reference", MISSING)
    ]


async def test_a_resource_may_refer_to_itself() -> None:
    at = running(refuse_missing=True)
    link = {"link": [{"type": "seealso", "other": {"reference": "Patient/ann"}}]}

    await at.engine.update(call(UPDATE, id="ann"), {**patient("ann"), **link})


async def test_what_the_same_transaction_makes_is_there_and_what_it_deletes_is_not() -> None:
    at = await with_ann(running(refuse_missing=True))
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"

    await at.bundles.process(
        TRANSACTION,
        bundle(
            entry("POST", "Media", media({"reference": urn})),
            entry("POST", "Consent", consent("ben")),
            entry("POST", "Observation", observation(urn, "Patient/ben", "Patient/ann")),
            entry("POST", "Patient", patient(), urn),
            entry("PUT", "Patient/ben", patient("ben")),
        ),
    )
    await at.engine.update(call(UPDATE, id="carl"), patient("carl"))
    before = dict(at.clinic.memory.current)
    with pytest.raises(UnprocessableError) as refusal:
        await at.bundles.process(
            TRANSACTION,
            bundle(
                entry("POST", "Observation", observation("Practitioner/x", subject="Patient/carl")),
                entry("DELETE", "Patient/carl"),
            ),
        )

    assert [issue.expression for issue in refusal.value.issues] == [
        "Bundle.entry[0].resource.subject.reference",
        "Bundle.entry[0].resource.performer[0].reference",
    ]
    assert at.clinic.memory.current == before


async def test_a_transaction_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = await with_ann(running(refuse_missing=True))
    asked = []
    present = at.clinic.resources.present

    async def counted(keys: Any) -> Any:
        asked.append(set(keys))
        return await present(keys)

    monkeypatch.setattr(at.clinic.resources, "present", counted)
    await at.engine.update(call(UPDATE, "Practitioner", "l"), {"resourceType": "Practitioner", "id": "l"})
    entries = [
        entry("POST", "Observation", observation("Practitioner/l" if odd else "Patient/ann")) for odd in (0, 1) * 10
    ]
    with pytest.raises(UnprocessableError):
        await at.bundles.process(
            TRANSACTION, bundle(*entries, entry("POST", "Observation", observation("Practitioner/d")))
        )

    assert asked == [
        {ResourceKey("Patient", "ann"), ResourceKey("Practitioner", "l"), ResourceKey("Practitioner", "d")}
    ]


async def test_what_a_patients_app_may_not_see_is_as_if_it_were_missing() -> None:
    """Otherwise a write would tell which ids exist."""
    at = await with_ann(running(Access(BASE), refuse_missing=True))
    await at.engine.update(call(UPDATE, id="ben"), patient("ben"))
    await at.engine.update(call(UPDATE, "Practitioner", "l"), {"resourceType": "Practitioner", "id": "l"})
    app = holder("patient/*.cruds", patient="ann")

    for hidden in ("Patient/ben", "Patient/nobody"):
        with pytest.raises(UnprocessableError) as refusal:
            await create(at, observation(hidden), app)
        assert [issue.expression for issue in refusal.value.issues] == ["Observation.performer[0].reference"]
    await create(at, observation("Patient/ann", "Practitioner/l"), app)
    for subject in ("Patient/ben", "Patient/nobody"):
        with pytest.raises(ForbiddenError):
            await create(at, media({"reference": subject}), app)


async def test_r_fhir_015_by_default_a_patient_is_deleted_whoever_refers_to_her() -> None:
    at = await with_ann(running(refuse_missing=False))
    await create(at, observation())

    assert await at.engine.delete(call(DELETE, id="ann")) is not None


async def test_r_fhir_015_by_setting_what_others_refer_to_is_not_deleted() -> None:
    at = await with_ann(running(refuse_missing=True))
    await at.engine.update(call(UPDATE, "Observation", "o"), {**observation(), "id": "o"})

    with pytest.raises(ConflictError):
        await at.engine.delete(call(DELETE, id="ann"))
    with pytest.raises(ConflictError):
        await at.bundles.process(TRANSACTION, bundle(entry("DELETE", "Patient/ann")))
    await at.bundles.process(TRANSACTION, bundle(entry("DELETE", "Patient/ann"), entry("DELETE", "Observation/o")))

    assert at.clinic.memory.current[ResourceKey("Patient", "ann")].deleted


async def test_r_fhir_015_a_provenance_or_a_link_to_itself_holds_nothing_back() -> None:
    at = running(refuse_missing=True)
    link = {"link": [{"type": "seealso", "other": {"reference": "Patient/ann"}}]}
    await at.engine.update(call(UPDATE, id="ann"), {**patient("ann"), **link})
    provenance: Json = {
        "resourceType": "Provenance",
        "target": [{"reference": "Patient/ann"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Patient/ann"}}],
    }
    await create(at, provenance)

    assert await at.engine.delete(call(DELETE, id="ann")) is not None


async def test_what_the_server_itself_writes_for_a_duty_is_not_asked() -> None:
    at = await with_ann(running(refuse_missing=True))
    await create(at, observation())
    receipt: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"title": "x"}}],
        "context": {"related": [{"reference": "Media/destroyed"}]},
    }

    await create(at, receipt, SERVER)
    assert await at.engine.delete(call(DELETE, id="ann", principal=SERVER)) is not None
