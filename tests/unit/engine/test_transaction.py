"""Bundles on a clinic in memory: a transaction is all or nothing, a batch is each by itself; all of it is recorded."""

from collections.abc import Sequence

import pytest

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    FhirError,
    InvalidRequestError,
    NotFoundError,
    StaleVersionError,
    TooLargeError,
    UnprocessableError,
    VersionConflictError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.access import Access
from tests.fakes.clinic import BASE
from tests.unit.engine.calls import bundle, call, entry, holder, patient, running

pytestmark = pytest.mark.anyio

TRANSACTION = call(Interaction.TRANSACTION, None)
BATCH = call(Interaction.BATCH, None)
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def observation(subject: str) -> Json:
    code = {"text": "Skin type"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}}


async def test_r_fhir_021_what_refers_to_a_urn_refers_to_the_new_resource() -> None:
    at = running()

    answers = await at.bundles.process(
        TRANSACTION, bundle(entry("POST", "Observation", observation(URN)), entry("POST", "Patient", patient(), URN))
    )

    first, second = [answer.stored for answer in answers]
    assert first is not None
    assert second is not None
    assert first.resource["subject"]["reference"] == str(second.key)
    assert first.subjects == (second.key.id,)
    assert at.outcomes() == [("create", "0"), ("create", "0")]


async def test_r_fhir_021_an_absolute_full_url_is_resolved_too() -> None:
    at = running()
    url = "http://elsewhere.example/fhir/Patient/1"

    answers = await at.bundles.process(
        TRANSACTION, bundle(entry("POST", "Patient", patient(), url), entry("POST", "Observation", observation(url)))
    )

    found = answers[1].stored
    assert found is not None
    assert found.resource["subject"]["reference"] == str(answers[0].stored.key if answers[0].stored else None)


async def test_r_fhir_020_entries_take_effect_in_fhirs_order_and_are_answered_in_their_own() -> None:
    at = running()
    for id in ("old", "kept"):
        await at.engine.update(call(Interaction.UPDATE, id=id), patient(id))

    answers = await at.bundles.process(
        TRANSACTION,
        bundle(
            entry("GET", "Patient/kept"),
            entry("PUT", "Patient/kept", patient("kept", "New")),
            entry("POST", "Patient", patient(family="Posted")),
            entry("DELETE", "Patient/old"),
            entry("GET", "Patient?family=Posted"),
            entry("DELETE", "Patient/nobody"),
        ),
    )

    assert [answer.method for answer in answers] == ["GET", "PUT", "POST", "DELETE", "GET", "DELETE"]
    kept = answers[0].stored
    assert kept is not None
    assert kept.resource["name"][0]["family"] == "New", "a GET sees what was written"
    assert answers[4].listed is not None
    assert len(answers[4].listed.page.matches) == 1
    assert answers[5].stored is None
    assert answers[5].failure is None


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (entry("PUT", "Patient/x", patient("y")), InvalidRequestError),
        (entry("POST", "Patient", {**patient(), "birthDate": "yesterday"}), UnprocessableError),
        (entry("POST", "Nothing", patient()), NotFoundError),
    ],
)
async def test_r_fhir_020_one_bad_entry_leaves_nothing_of_the_others(bad: Json, error: type[FhirError]) -> None:
    at = running()

    with pytest.raises(error) as refusal:
        await at.bundles.process(TRANSACTION, bundle(entry("POST", "Patient", patient()), bad))

    assert at.clinic.memory.current == {}
    assert (refusal.value.issues[0].expression or "").startswith("Bundle.entry[1]")
    assert [outcome for _, outcome in at.outcomes()] == ["4"]


async def test_a_version_conflict_fails_the_whole_transaction() -> None:
    at = running()
    await at.engine.update(call(Interaction.UPDATE, id="ann"), patient("ann"))
    put = entry("PUT", "Patient/ann", patient("ann", "B"))
    put["request"]["ifMatch"] = 'W/"7"'

    with pytest.raises(VersionConflictError):
        await at.bundles.process(TRANSACTION, bundle(entry("POST", "Patient", patient()), put))

    assert set(at.clinic.memory.current) == {ResourceKey("Patient", "ann")}


async def test_r_smart_050_a_transaction_with_one_forbidden_entry_fails_as_a_whole_and_a_batch_by_entry() -> None:
    principal = holder("system/Patient.c")
    forbidden = entry("POST", "Observation", observation("Patient/7"))

    at = running(Access(BASE))
    with pytest.raises(FhirError) as refusal:
        await at.bundles.process(
            call(Interaction.TRANSACTION, None, principal=principal),
            bundle(entry("POST", "Patient", patient()), forbidden),
        )
    assert refusal.value.status == 403
    assert at.clinic.memory.current == {}

    answers = await at.bundles.process(
        call(Interaction.BATCH, None, principal=principal),
        bundle(entry("POST", "Patient", patient()), forbidden, type="batch"),
    )
    assert answers[0].stored is not None
    assert answers[1].failure is not None
    assert answers[1].failure.status == 403


async def test_r_fhir_019_the_entries_of_a_batch_stand_alone_in_their_order() -> None:
    at = running()

    answers = await at.bundles.process(
        BATCH,
        bundle(
            entry("POST", "Patient", patient()),
            entry("GET", "Patient/nobody"),
            entry("PUT", "Patient/ann", patient("ann")),
            entry("DELETE", "Patient/nobody"),
            entry("GET", "Patient"),
            entry("POST", "Patient", {**patient(), "birthDate": "yesterday"}),
            type="batch",
        ),
    )

    assert [answer.failure.status if answer.failure else 0 for answer in answers] == [0, 404, 0, 0, 0, 422]
    assert len(at.events()) == 7, "one each, and the search saw two patients"


async def test_r_fhir_019_an_entry_that_cannot_be_understood_fails_alone_in_a_batch() -> None:
    at = running()

    answers = await at.bundles.process(
        BATCH, bundle(entry("POST", "Patient", patient()), entry("POST", "Nothing", patient()), type="batch")
    )

    assert answers[0].stored is not None
    assert answers[1].failure is not None
    assert answers[1].failure.status == 404


@pytest.mark.parametrize(
    "body",
    [
        patient(),
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        {"resourceType": "Bundle", "type": "batch", "entry": [{}] * 51},
        {"resourceType": "Bundle", "type": "transaction", "entry": [{}] * 51},
    ],
)
async def test_what_is_no_batch_or_transaction_is_refused_and_recorded(body: Json) -> None:
    at = running()

    with pytest.raises(FhirError) as refusal:
        await at.bundles.process(BATCH if body.get("type") == "batch" else TRANSACTION, body)

    assert refusal.value.status in {400, 413, 422}
    assert [outcome for _, outcome in at.outcomes()] == ["4"]


async def test_a_bundle_over_the_limit_is_too_large() -> None:
    at = running(most_entries=1)

    with pytest.raises(TooLargeError):
        await at.bundles.process(TRANSACTION, bundle(*[entry("POST", "Patient", patient())] * 2))


@pytest.mark.parametrize("type", ["transaction", "batch"])
async def test_r_fhir_022_an_empty_bundle_is_answered_and_recorded(type: str) -> None:
    at = running()

    answers = await at.bundles.process(
        call(Interaction.BATCH if type == "batch" else Interaction.TRANSACTION, None), bundle(type=type)
    )

    assert answers == []
    assert len(at.events()) == 1


async def test_a_transaction_that_deletes_nothing_is_recorded() -> None:
    at = running()

    await at.bundles.process(TRANSACTION, bundle(entry("DELETE", "Patient/nobody")))

    assert len(at.events()) == 1


@pytest.mark.parametrize(
    "twice",
    [
        [entry("PUT", "Patient/7", patient("7")), entry("PUT", "Patient/7", patient("7"))],
        [entry("PUT", "Patient/7", patient("7")), entry("DELETE", "Patient/7")],
        [entry("POST", "Patient", patient(), URN), entry("POST", "Patient", patient(), URN)],
    ],
)
async def test_r_fhir_020_the_same_identity_twice_is_refused(twice: list[Json]) -> None:
    at = running()

    with pytest.raises(InvalidRequestError) as refusal:
        await at.bundles.process(TRANSACTION, bundle(*twice))

    assert refusal.value.issues[0].expression == "Bundle.entry[1]"
    assert at.clinic.memory.current == {}


async def test_a_transaction_that_is_overtaken_is_drawn_up_again_and_in_the_end_refused() -> None:
    at = running()
    at.clinic.resources.failures.extend([StaleVersionError("other")] * 2)
    answers = await at.bundles.process(TRANSACTION, bundle(entry("PUT", "Patient/ann", patient("ann"))))
    assert answers[0].stored is not None

    at.clinic.resources.failures.extend([StaleVersionError("other")] * 200)
    with pytest.raises(FhirError) as refusal:
        await at.bundles.process(TRANSACTION, bundle(entry("PUT", "Patient/ann", patient("ann"))))
    assert refusal.value.status == 409
    assert len(at.clinic.resources.failures) < 199, "it insisted"
    assert [outcome for _, outcome in at.outcomes()] == ["0", "4"]


class Foreseeing(Step):
    """`known`: of whom something was looked up when a version was disclosed, by interaction."""

    def __init__(self) -> None:
        self.foreseen: list[list[str]] = []
        self.known: list[tuple[Interaction, list[str]]] = []

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        self.foreseen.append([stored.key.id for stored in found])
        call.trace.stands.update({stored.key.id: "a stand" for stored in found})

    async def disclose(self, call: Call, stored: Stored) -> Stored:
        self.known.append((call.interaction, sorted(call.trace.stands)))
        return stored


async def test_who_may_know_of_the_versions_that_a_transaction_names_is_looked_up_for_all_at_once() -> None:
    step = Foreseeing()
    at = running(step)
    await at.bundles.process(TRANSACTION, bundle(*(entry("PUT", f"Patient/{id}", patient(id)) for id in "abc")))
    again = [entry("PUT", f"Patient/{id}", patient(id)) for id in "abc"]
    for one in again[:2]:
        one["request"]["ifMatch"] = 'W/"1"'

    answers = await at.bundles.process(TRANSACTION, bundle(*again, entry("GET", "Patient/a")))

    assert [answer.stored.version for answer in answers if answer.stored] == [2, 2, 2, 2]
    assert step.foreseen == [[], ["a", "b"]]
    update, read = Interaction.UPDATE, Interaction.READ
    assert step.known == [(update, ["a", "b"]), (update, ["a", "b"]), (read, [])]
