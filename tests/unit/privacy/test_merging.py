"""What keeps two records apart, which of two consents holds, and what a merge can be undone from."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.consent.terms import ANONYMISATION
from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import ConflictError, UnavailableError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import LIVE
from fhir_server.privacy.merging.finishing import FINISH_MERGE
from fhir_server.privacy.merging.merging import Asked
from fhir_server.privacy.merging.record import Pair
from fhir_server.privacy.remedies import restriction
from tests.contract.clinics import in_memory, observation
from tests.contract.merging import KINDS, NEW, NHS, OLD, Desk, desk_on, number, person, task
from tests.samples import consent, published

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with in_memory() as clinic:
        yield await desk_on(clinic)


async def test_the_result_is_as_it_was_asked_for(desk: Desk) -> None:
    await desk.merge(result=person(NEW, **number("9"), gender="female"))

    new = await desk.read(f"Patient/{NEW}")
    assert new["gender"] == "female"
    assert [one["value"] for one in new["identifier"]] == ["9", "1"]


async def test_the_result_is_of_the_one_that_stays(desk: Desk) -> None:
    with pytest.raises(UnprocessableError, match="result-patient"):
        await desk.merge(result=person(OLD))


async def test_a_preview_tells_and_does_nothing(desk: Desk) -> None:
    await desk.put(observation("one", OLD))
    photo = await desk.photo("m", OLD)

    outcome = await desk.merge(preview=True)

    assert (sorted(map(str, outcome.moved)), outcome.record) == (["Media/m", "Observation/one"], None)
    assert outcome.result.resource["link"][0]["type"] == "replaces"
    assert [(await desk.stored(f"Patient/{id}")).version for id in (OLD, NEW)] == [1, 1]
    assert await desk.found("Observation", patient=f"Patient/{OLD}") == ["one"]
    assert [one.id for one in await desk.at.photos.of_patient(OLD, {LIVE})] == [photo]


async def test_of_two_permissions_the_stricter_holds(desk: Desk) -> None:
    for id, patient, level in (("wide", OLD, "identifiable"), ("narrow", NEW, "face-masked")):
        terms = published()
        terms["extension"] = [*terms["extension"], {"url": ANONYMISATION, "valueCode": level}]
        await desk.put({**consent(patient, "marketing", **terms), "id": id})

    outcome = await desk.merge()

    assert [str(one) for one in outcome.ended] == ["Consent/wide"]
    assert (await desk.consents(NEW)).keys() == {"Consent/narrow"}


@pytest.mark.parametrize("of", [OLD, NEW])
async def test_a_hold_or_a_complaint_on_either_keeps_them_apart(desk: Desk, of: str) -> None:
    for code in ("legal-hold", "complaint-review"):
        await desk.put(task(code, of))
        with pytest.raises(ConflictError, match=f"Task/{code}-{of}"):
            await desk.merge()
        await desk.put(task(code, of, status="completed"))
    await desk.merge()
    await desk.put(task("legal-hold", NEW))
    with pytest.raises(ConflictError, match="hold"):
        await desk.unmerge()


async def test_a_restriction_keeps_them_apart(desk: Desk) -> None:
    held = restriction(ResourceKey("Patient", OLD), ResourceKey("Task", "t"), desk.at.clock.now())
    await desk.put({**held, "id": "r"})

    with pytest.raises(ConflictError, match="Consent/r"):
        await desk.merge()


@pytest.mark.parametrize(
    ("system", "more"),
    [(NHS, {}), ("urn:any", {"type": {"coding": [{"system": KINDS, "code": "NNSWE"}]}})],
)
async def test_different_national_numbers_are_two_people(desk: Desk, system: str, more: Json) -> None:
    await desk.put(person(OLD, **number("943 476 5919", system, **more)))
    await desk.put(person(NEW, **number("9434765870", system, **more)))
    with pytest.raises(ConflictError, match="two people"):
        await desk.merge()

    await desk.put(person(NEW, **number("9434765919", system, **more)))
    assert (await desk.merge()).record, "written with blanks or without, it is one number"


async def test_a_record_is_not_merged_with_itself_nor_twice_nor_into_one_that_is_given_up(desk: Desk) -> None:
    for merge in (desk.merging.merge, desk.unmerging.unmerge):
        with pytest.raises(UnprocessableError, match="itself"):
            await merge(desk.call(), Asked(Pair(OLD, OLD)))
    await desk.put(person("third"))
    await desk.merge()
    with pytest.raises(ConflictError, match="already"):
        await desk.merge()
    with pytest.raises(ConflictError, match=f"replaced by another record: Patient/{NEW}"):
        await desk.merging.merge(desk.call(), Asked(Pair(OLD, "third")))
    with pytest.raises(ConflictError, match="itself replaced"):
        await desk.merging.merge(desk.call(), Asked(Pair("third", OLD)))
    with pytest.raises(ConflictError, match="not merged"):
        await desk.unmerging.unmerge(desk.call(), Asked(Pair("third", NEW)))
    await desk.put(person("fourth", active=False))
    with pytest.raises(ConflictError, match="not active"):
        await desk.merging.merge(desk.call(), Asked(Pair("third", "fourth")))


async def test_a_link_that_another_system_wrote_is_followed_by_the_merge(desk: Desk) -> None:
    link = [{"other": {"reference": f"Patient/{NEW}"}, "type": "replaced-by"}]
    await desk.put(person(OLD, active=False, link=link))
    await desk.put(observation("one", OLD))

    assert [str(one) for one in (await desk.merge()).moved] == ["Observation/one"]
    assert (await desk.read(f"Patient/{OLD}"))["link"] == link


async def test_whoever_was_changed_since_keeps_the_change(desk: Desk) -> None:
    await desk.put(person(OLD))
    await desk.merge()
    await desk.put({**await desk.read(f"Patient/{OLD}"), "gender": "female"})
    other = {"other": {"reference": "Patient/x"}, "type": "seealso"}
    new = await desk.read(f"Patient/{NEW}")
    await desk.put({**new, "gender": "male", "link": [other, *new["link"]]})

    await desk.unmerge()

    old, new = await desk.read(f"Patient/{OLD}"), await desk.read(f"Patient/{NEW}")
    assert (old["gender"], old["active"], "link" in old) == ("female", True, False)
    assert (new["gender"], new["link"]) == ("male", [other])


async def test_it_can_be_merged_again_and_a_chain_is_undone_from_its_end(desk: Desk) -> None:
    await desk.put(observation("one", OLD))
    await desk.merge()
    await desk.unmerge()
    await desk.merge()
    await desk.put(person("third"))
    further = Asked(Pair(NEW, "third"))
    await desk.merging.merge(desk.call(), further)
    assert (await desk.read("Observation/one"))["subject"]["reference"] == "Patient/third"

    with pytest.raises(ConflictError, match="undo that first"):
        await desk.unmerge()
    await desk.unmerging.unmerge(desk.call(), further)
    await desk.unmerge()

    assert (await desk.read("Observation/one"))["subject"]["reference"] == f"Patient/{OLD}"


async def test_a_record_of_a_merge_that_a_client_wrote_is_none(desk: Desk) -> None:
    await desk.merge()
    real = next(one for one in await desk.found("Provenance", target=f"Patient/{NEW}"))
    await desk.unmerge()
    await desk.put({**await desk.read(f"Provenance/{real}"), "id": "forged"})

    with pytest.raises(ConflictError, match="not merged"):
        await desk.unmerge()


async def test_the_worker_waits_for_a_record_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(UnavailableError):
        await desk.finishing(Task(FINISH_MERGE, OLD, "Provenance/none/_history/1"))
