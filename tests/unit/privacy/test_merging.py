"""What keeps two records apart, which of two consents holds, and what a merge can be undone from."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from fhir_server.consent.terms import ANONYMISATION
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import ConflictError, TooCostlyError, UnavailableError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import LIVE, PENDING, Photo
from fhir_server.privacy.merging import moving, unmerging
from fhir_server.privacy.merging.attempting import Asked
from fhir_server.privacy.merging.finishing import FINISH_MERGE
from fhir_server.privacy.merging.record import Merges, Pair
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


async def test_nothing_is_decided_where_a_consent_is_not_what_it_is_listed_as(desk: Desk) -> None:
    stored = await desk.put({**consent(OLD), "id": "c"})
    rolled_back = desk.engine.drafts.of(stored.key, {**stored.resource, "status": "rejected"}, stored)
    await desk.at.resources.commit([rolled_back])

    with pytest.raises(UnavailableError):
        await desk.merge()


async def test_more_than_a_commit_takes_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(3):
        await desk.put(observation(f"o{place}", OLD))
    monkeypatch.setattr(moving, "MOST", 2)
    with pytest.raises(TooCostlyError):
        await desk.merge()

    monkeypatch.undo()
    await desk.merge()
    monkeypatch.setattr(unmerging, "MOST", 2)
    with pytest.raises(TooCostlyError):
        await desk.unmerge()


async def test_of_photos_that_cannot_be_poured_nothing_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for id in ("m1", "m2"):
        await desk.photo(id, OLD)
    pour, left = desk.at.photos.pour, [1]

    async def once(*given: Any) -> Photo:
        if not left:
            raise UnavailableError("Not now.")
        left.pop()
        return await pour(*given)

    monkeypatch.setattr(desk.at.photos, "pour", once)
    with pytest.raises(UnavailableError):
        await desk.merge()

    assert await desk.at.photos.of_patient(NEW, {PENDING, LIVE}) == []
    assert len(await desk.at.photos.of_patient(OLD, {LIVE})) == 2


async def test_what_came_late_and_cannot_be_moved_yet_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.merge()
    await desk.photo("late", OLD)
    task = next(one.task for one in [await desk.at.tasks.lease()] if one)

    async def failing(changes: Sequence[Any]) -> tuple[Stored, ...]:
        raise UnavailableError("Not now.")

    with monkeypatch.context() as patched:
        patched.setattr(desk.at.resources, "commit", failing)
        with pytest.raises(UnavailableError):
            await desk.finishing(task)
    assert await desk.at.photos.of_patient(NEW, {PENDING, LIVE}) == []

    await desk.finishing(task)
    assert len(await desk.at.photos.of_patient(NEW, {LIVE})) == 1


async def test_all_that_became_part_of_a_record_is_found_from_it_and_no_more(desk: Desk) -> None:
    merges = Merges(desk.engine)
    for id in ("third", "fourth"):
        await desk.put(person(id))
    await desk.merge()
    await desk.merging.merge(desk.call(), Asked(Pair(NEW, "third")))
    await desk.merging.merge(desk.call(), Asked(Pair("fourth", "third")))
    third = await desk.stored("Patient/third")
    claimed = [{"other": {"reference": f"Patient/{id}"}, "type": "replaces"} for id in ("third", "nobody")]
    third = await desk.put({**third.resource, "link": [*third.resource["link"], *claimed]})

    assert await merges.gathered(third) == ["fourth", NEW, OLD]
    assert await merges.gathered(await desk.stored(f"Patient/{NEW}")) == [OLD]
    assert await merges.into(await desk.stored(f"Patient/{OLD}")) == ResourceKey("Patient", NEW)
    assert await merges.into(third) is None
    alone = {**person("alone"), "link": [{"other": {"reference": "Patient/third"}, "type": "replaced-by"}]}
    assert await merges.into(await desk.put(alone)) is None, "a link alone is no merge"
    assert await merges.gathered(await desk.put({**person("x"), "link": [claimed[0]]})) == []


async def test_a_permission_that_gave_way_and_was_changed_since_stays_as_it_is(desk: Desk) -> None:
    await desk.put({**consent(NEW, "marketing", **published()), "id": "gave"})
    taken = {**consent(OLD, "marketing", **published()), "id": "took"}
    await desk.put(taken)
    await desk.put({**taken, "status": "inactive"})
    await desk.merge()
    await desk.put({**await desk.read("Consent/gave"), "identifier": [{"value": "later"}]})

    outcome = await desk.unmerge()

    assert [str(one) for one in outcome.moved] == ["Consent/took"]
    assert (await desk.read("Consent/gave"))["status"] == "inactive"


async def test_where_the_earlier_version_is_gone_all_that_names_the_one_goes_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.put(observation("one", OLD))
    await desk.merge()

    async def gone(key: ResourceKey, version: int) -> None:
        return None

    monkeypatch.setattr(desk.at.resources, "read_version", gone)
    await desk.unmerge()

    assert (await desk.read("Observation/one"))["subject"]["reference"] == f"Patient/{OLD}"
    assert (await desk.read(f"Patient/{OLD}"))["active"] is True
